import { triggerEntrySchema, triggersBucket, type TriggerEntry } from '#contracts';
import type { EventStreams, KeyValues } from '#messaging';

/** How many events wait for each function or are being handled, read from the consumers themselves. */
export class EventLag {
  readonly #streams: EventStreams;
  readonly #entries = new Map<string, TriggerEntry>();

  constructor(streams: EventStreams) {
    this.#streams = streams;
  }

  /** Resolves when the consumers of this moment are known; returns how to stop. */
  watch(keyValues: KeyValues): Promise<() => Promise<void>> {
    return keyValues.watch(triggersBucket, triggerEntrySchema, (key, entry) => {
      if (entry) this.#entries.set(key, entry);
      else this.#entries.delete(key);
    });
  }

  /**
   * `key` is `<project>.<function>`. Throws when a consumer is missing or cannot be read: that is no zero, and no most either.
   * What has a trigger that is paused does not wait for machines.
   */
  async read(key: string): Promise<number> {
    const consumers = this.#entries.get(key)?.consumers ?? [];
    const counted = consumers.filter(({ trigger, paused }) => trigger !== null && !paused);
    const backlogs = await Promise.all(
      counted.map(({ stream, durable }) => this.#streams.backlog(stream, durable)),
    );
    return backlogs.reduce((sum, { waiting, working }) => sum + waiting + working, 0);
  }
}
