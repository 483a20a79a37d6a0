import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';

/** Tables that every process holds in memory and the broker keeps in step. */
export class KeyValues {
  readonly #connection: NatsConnection;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  /**
   * Calls `onChange` for every key now present, resolves, and goes on for every change (null: the key is gone).
   * After a break the watch goes on behind the last change it saw.
   */
  async watch<T>(
    bucket: string,
    schema: z.ZodType<T>,
    onChange: (key: string, value: T | null) => void,
  ): Promise<() => Promise<void>> {
    const kv = await new Kvm(this.#connection).open(bucket);
    let stopped = false;
    let revision = 0;
    let current = await kv.watch();

    const deliver = (entry: { key: string; operation: string; revision: number; json<V>(): V }): void => {
      revision = entry.revision;
      if (entry.operation !== 'PUT') return onChange(entry.key, null);
      const parsed = schema.safeParse(entry.json());
      if (parsed.success) onChange(entry.key, parsed.data);
    };

    const initial = (await kv.status()).values;
    await new Promise<void>((resolve) => {
      let seen = 0;
      if (initial === 0) resolve();
      const loop = async (): Promise<void> => {
        while (!stopped) {
          try {
            for await (const entry of current) {
              deliver(entry);
              seen++;
              if (seen >= initial || entry.isUpdate) resolve();
            }
          } catch {
            // The watch broke with the link; it is opened again below.
          }
          if (stopped || this.#connection.isClosed()) return;
          await new Promise((wait) => setTimeout(wait, 200));
          try {
            current = await kv.watch({ resumeFromRevision: revision + 1 });
            if (stopped) current.stop();
          } catch {
            // The broker is still away; the next turn tries again.
          }
        }
      };
      void loop();
    });
    return async () => {
      stopped = true;
      current.stop();
    };
  }
}
