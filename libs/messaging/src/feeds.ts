import { DeliverPolicy, jetstream, jetstreamManager, JetStreamApiError } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';

import { parseJson } from './parse-json.ts';
import type { Publisher } from './publisher.ts';
import { streamNames } from './streams.ts';

export interface FeedItem<T> {
  value: T;
  /** Place in the stream; grows. */
  sequence: number;
}

/** Messages pulled and handed on together. */
const batchSize = 500;

/** Lines, spans and samples: many, short-lived, and read by filter. */
export class Feeds {
  readonly #connection: NatsConnection;
  readonly #publisher: Publisher;
  readonly #reconnectListeners = new Set<() => void>();
  #isWatchingLink = false;

  constructor(connection: NatsConnection, publisher: Publisher) {
    this.#connection = connection;
    this.#publisher = publisher;
  }

  async publish(subject: string, value: object, options: { messageId?: string } = {}): Promise<void> {
    await this.#publisher.publish(subject, JSON.stringify(value), options);
  }

  /** The newest message on a subject. */
  async last<T>(subject: string, schema: z.ZodType<T>): Promise<T | null> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    const message = await manager.direct
      .getMessage(streamOf(subject), { last_by_subj: subject })
      .catch(ignoreMissing);
    return message ? schema.parse(message.json()) : null;
  }

  /** Everything a filter matches now, oldest first; with `since` only what was stored from then on. */
  async read<T>(
    filter: string,
    schema: z.ZodType<T>,
    options: { since?: Date | undefined } = {},
  ): Promise<FeedItem<T>[]> {
    const { since } = options;
    const consumer = await jetstream(this.#connection).consumers.get(streamOf(filter), {
      filter_subjects: filter,
      ...(since
        ? { deliver_policy: DeliverPolicy.StartTime, opt_start_time: since.toISOString() }
        : { deliver_policy: DeliverPolicy.All }),
      inactive_threshold: 10_000,
    });
    const items: FeedItem<T>[] = [];
    const pending = (await consumer.info()).num_pending;
    while (items.length < pending) {
      let received = 0;
      for await (const message of await consumer.fetch({
        max_messages: Math.min(batchSize, pending - items.length),
        expires: 2000,
      })) {
        received++;
        items.push({ value: schema.parse(message.json()), sequence: message.seq });
      }
      if (received === 0) break;
    }
    return items;
  }

  /** The number of the newest message that was ever stored where `filter` points; 0 when there was none. */
  async end(filter: string): Promise<number> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    return (await manager.streams.info(streamOf(filter))).state.last_seq;
  }

  /**
   * Hands everything behind `after` to `handle`, in the order of the stream and in batches, with the number of the last message read.
   * Nothing is acknowledged: the reader keeps its place together with what it made of the messages. Throws what `handle`
   * throws; ends with `signal`, and when the link broke, for the reader to start again from its place.
   */
  async follow<T>(
    filter: string,
    after: number,
    schema: z.ZodType<T>,
    signal: AbortSignal,
    handle: (items: FeedItem<T>[], last: number) => Promise<void>,
  ): Promise<void> {
    const consumer = await jetstream(this.#connection).consumers.get(streamOf(filter), {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
    });
    const messages = await consumer.consume({ max_messages: batchSize * 4 });
    const stop = () => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    this.#onReconnect(stop);
    try {
      let items: FeedItem<T>[] = [];
      let received = 0;
      for await (const message of messages) {
        if (signal.aborted) return;
        received += 1;
        const parsed = schema.safeParse(parseJson(message.string()));
        if (parsed.success) items.push({ value: parsed.data, sequence: message.seq });
        // More is on its way as long as something is pending: then a fuller batch is worth the wait.
        if (received < batchSize && message.info.pending > 0) continue;
        await handle(items, message.seq);
        items = [];
        received = 0;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      this.#reconnectListeners.delete(stop);
      stop();
      await consumer.delete().catch(() => undefined);
    }
  }

  #onReconnect(listener: () => void): void {
    this.#reconnectListeners.add(listener);
    if (this.#isWatchingLink) return;
    this.#isWatchingLink = true;
    void (async () => {
      for await (const status of this.#connection.status()) {
        if (status.type === 'reconnect') for (const each of this.#reconnectListeners) each();
      }
    })();
  }
}

function streamOf(filter: string): string {
  if (filter.startsWith('cestx.feed.traces.')) return streamNames.traces;
  return filter.startsWith('cestx.feed.stats.') ? streamNames.stats : streamNames.feeds;
}

function ignoreMissing(error: unknown): null {
  if (error instanceof JetStreamApiError && error.code === 404) return null;
  if (error instanceof Error && /not found|no message/i.test(error.message)) return null;
  throw error;
}
