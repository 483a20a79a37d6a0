import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager, JetStreamApiError } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import type { z } from 'zod';

import type { Publisher } from './publisher.ts';
import { streamNames } from './streams.ts';

export interface FeedItem<T> {
  value: T;
  /** Place in the stream; grows. */
  sequence: number;
}

/** Messages pulled and acknowledged together. */
const batchSize = 500;

/** Lines and spans: many, short-lived, and read by filter. */
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
    const manager = await jetstreamManager(this.#connection);
    const message = await manager.direct
      .getMessage(streamOf(subject), { last_by_subj: subject })
      .catch(ignoreMissing);
    return message ? schema.parse(message.json()) : null;
  }

  /** Everything a filter matches now, oldest first. */
  async read<T>(filter: string, schema: z.ZodType<T>): Promise<FeedItem<T>[]> {
    const consumer = await jetstream(this.#connection).consumers.get(streamOf(filter), {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.All,
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

  /** Makes a durable that starts at the oldest message; true when it was not there yet. */
  async ensureConsumer(durable: string, filter: string): Promise<boolean> {
    const manager = await jetstreamManager(this.#connection);
    const present = await manager.consumers.info(streamOf(filter), durable).catch(ignoreMissing);
    if (present) return false;
    await manager.consumers.add(streamOf(filter), {
      durable_name: durable,
      filter_subject: filter,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(10_000),
      deliver_policy: DeliverPolicy.All,
      max_ack_pending: batchSize * 4,
    });
    return true;
  }

  async removeConsumer(durable: string): Promise<void> {
    const manager = await jetstreamManager(this.#connection);
    await manager.consumers.delete(streamNames.feeds, durable).catch(ignoreMissing);
  }

  /** Hands batches of a log durable to `handle` and acknowledges each once `handle` has resolved; ends with `signal`. */
  async consume<T>(
    durable: string,
    schema: z.ZodType<T>,
    handle: (items: FeedItem<T>[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      try {
        const consumer = await jetstream(this.#connection).consumers.get(streamNames.feeds, durable);
        while (!signal.aborted) await this.#consumeBatch(consumer, schema, handle, signal);
      } catch (error) {
        if (signal.aborted || this.#connection.isClosed()) return;
        if (!isTransient(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  /** The number of the newest message that was ever stored where `filter` points; 0 when there was none. */
  async end(filter: string): Promise<number> {
    const manager = await jetstreamManager(this.#connection);
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

  async #consumeBatch<T>(
    consumer: Awaited<ReturnType<ReturnType<typeof jetstream>['consumers']['get']>>,
    schema: z.ZodType<T>,
    handle: (items: FeedItem<T>[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    // Waits for the first message, then takes what else is there without waiting for a full batch.
    const first = await consumer.next({ expires: 1000 });
    if (!first) return;
    const messages = [first];
    const more = first.info.pending;
    if (more > 0) {
      for await (const message of await consumer.fetch({
        max_messages: Math.min(more, batchSize - 1),
        expires: 1000,
      }))
        messages.push(message);
    }
    if (signal.aborted) return;
    const items: FeedItem<T>[] = [];
    for (const message of messages) {
      const parsed = schema.safeParse(parseJson(message.string()));
      if (parsed.success) items.push({ value: parsed.data, sequence: message.seq });
      else message.term('not of the shape of this feed');
    }
    if (items.length > 0) await handle(items);
    for (const message of messages) message.ack();
  }
}

function streamOf(filter: string): string {
  return filter.startsWith('cestx.feed.traces.') ? streamNames.traces : streamNames.feeds;
}

function ignoreMissing(error: unknown): null {
  if (error instanceof JetStreamApiError && error.code === 404) return null;
  if (error instanceof Error && /not found|no message/i.test(error.message)) return null;
  throw error;
}

/** Broken links and restarts of the broker; a handler's own error is not. */
function isTransient(error: unknown): boolean {
  return (
    error instanceof Error &&
    /timeout|disconnect|connection|no responders|heartbeat|consumer|503|408/i.test(
      `${error.name} ${error.message}`,
    )
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
