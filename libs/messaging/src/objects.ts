import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

import { Objm, StorageType, type ObjectStore } from '@nats-io/obj';
import type { NatsConnection } from '@nats-io/transport-node';

const bucket = 'cestx-sources';

/** Named byte sequences of any length, kept in a JetStream object store. */
export class Objects {
  readonly #connection: NatsConnection;
  #store: Promise<ObjectStore> | undefined;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  /** Replaces what the name held; a `data` that fails leaves nothing behind. */
  async put(name: string, data: Readable): Promise<{ size: number }> {
    const store = await this.#open();
    // Chunks come out as Buffers; the store reads plain byte arrays.
    const info = await store.put({ name }, Readable.toWeb(data) as ReadableStream<Uint8Array>);
    return { size: info.size };
  }

  async get(name: string): Promise<Readable | null> {
    const store = await this.#open();
    const found = await store.get(name);
    if (!found) return null;
    return Readable.fromWeb(found.data as NodeReadableStream<Uint8Array>);
  }

  async exists(name: string): Promise<boolean> {
    const info = await (await this.#open()).info(name);
    return info !== null && !info.deleted;
  }

  async remove(name: string): Promise<void> {
    if (await this.exists(name)) await (await this.#open()).delete(name);
  }

  async list(): Promise<{ name: string; size: number; modifiedAt: Date }[]> {
    const items = await (await this.#open()).list();
    return items
      .filter((item) => !item.deleted)
      .map((item) => ({ name: item.name, size: item.size, modifiedAt: new Date(item.mtime) }));
  }

  #open(): Promise<ObjectStore> {
    this.#store ??= new Objm(this.#connection)
      .create(bucket, { storage: StorageType.File })
      .catch((error: unknown) => {
        this.#store = undefined;
        throw error;
      });
    return this.#store;
  }
}
