import {
  AckPolicy,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
  JetStreamApiError,
  type Consumer,
  type ConsumerConfig,
  type JsMsg,
} from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';

import { CestxError } from '#contracts';

import { fromHeaders, type Publisher } from './publisher.ts';

/** A message of a stream, held by this process until one of its ends is called or the lease runs out. */
export interface LeasedMessage {
  readonly stream: string;
  readonly subject: string;
  readonly sequence: number;
  readonly headers: Record<string, string>;
  readonly data: Buffer;
  readonly storedAt: Date;
  /** How often it was handed out, this time included. */
  readonly deliveries: number;
  /** It is dealt with. */
  done(): void;
  /** It comes again after so many milliseconds. */
  retryIn(ms: number): void;
  /** It never comes again. */
  giveUp(reason: string): void;
  /** The lease begins anew. */
  extend(): void;
}

export interface ConsumerSettings {
  readonly durable: string;
  readonly subjects: readonly string[];
  readonly deliver: 'all' | 'new' | { sequence: number } | { time: string };
  /** Milliseconds a message is held before it is handed to somebody else. */
  readonly lease: number;
  /** Messages held at a time by all processes together. */
  readonly maxHeld: number;
}

/** Work left in a consumer. */
export interface Backlog {
  /** Not handed out yet. */
  readonly waiting: number;
  /** Handed out and not ended. */
  readonly working: number;
}

/** Streams that hold events for functions: durable pull consumers, and messages held one by one. */
export class EventStreams {
  readonly #connection: NatsConnection;
  readonly #publisher: Publisher;

  constructor(connection: NatsConnection, publisher: Publisher) {
    this.#connection = connection;
    this.#publisher = publisher;
  }

  /** Bytes of headers and data that one message may have. */
  get maxPayload(): number {
    return this.#connection.info?.max_payload ?? 1024 ** 2;
  }

  /** Resolves when the broker has it on disk; a message id that it has seen lately is stored once. Throws `unavailable`, `too-large`. */
  async publish(
    subject: string,
    data: Uint8Array,
    options: { messageId: string; headers: Readonly<Record<string, string>>; patience?: number },
  ): Promise<void> {
    const size = Object.entries(options.headers).reduce(
      (sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 4,
      data.length + options.messageId.length + 64,
    );
    if (size > this.maxPayload) {
      throw new CestxError(
        'too-large',
        `The event is larger than the ${this.maxPayload} bytes the broker takes.`,
      );
    }
    await this.#publisher.publish(subject, data, options);
  }

  /** Makes the consumer; one that is there already goes on where it is. Throws `not-found` when there is no such stream. */
  async ensureConsumer(stream: string, settings: ConsumerSettings): Promise<void> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    const fixed = startOf(settings.deliver);
    const config: Partial<ConsumerConfig> = {
      durable_name: settings.durable,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(settings.lease),
      max_ack_pending: settings.maxHeld,
      max_deliver: -1,
      filter_subjects: [...settings.subjects],
    };
    try {
      const present = await manager.consumers.info(stream, settings.durable).catch(ignoreMissing);
      if (present) await manager.consumers.update(stream, settings.durable, config);
      else await manager.consumers.add(stream, { ...config, ...fixed });
    } catch (error) {
      throw asCestx(error, stream);
    }
  }

  /** One that is not there counts as removed. */
  async removeConsumer(stream: string, durable: string): Promise<void> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    await manager.consumers.delete(stream, durable).catch(ignoreMissing);
  }

  /** Deletes the messages of these subjects. */
  async purge(stream: string, subject: string): Promise<number> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    const purged = await manager.streams.purge(stream, { filter: subject }).catch(ignoreMissing);
    return purged?.purged ?? 0;
  }

  /** Reads the consumer itself. Throws `not-found` when it or its stream is gone, `unavailable` when it cannot be read. */
  async backlog(stream: string, durable: string): Promise<Backlog> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    const info = await manager.consumers.info(stream, durable).catch((error: unknown) => {
      throw asCestx(error, stream);
    });
    return { waiting: info.num_pending, working: info.num_ack_pending };
  }

  /** The newest message on a subject. */
  async last(
    stream: string,
    subject: string,
  ): Promise<{ headers: Record<string, string>; data: Buffer; storedAt: Date; sequence: number } | null> {
    const manager = await jetstreamManager(this.#connection, { checkAPI: false });
    const found = await manager.streams.getMessage(stream, { last_by_subj: subject }).catch(ignoreMissing);
    if (!found) return null;
    const { data, header, time, seq } = found;
    return { headers: fromHeaders(header), data: Buffer.from(data), storedAt: time, sequence: seq };
  }

  /** Takes messages of a consumer as they come; ends with the reader. Throws `not-found` when the consumer is gone. */
  async open(stream: string, durable: string): Promise<MessageSource> {
    const consumer = await jetstream(this.#connection)
      .consumers.get(stream, durable)
      .catch((error: unknown) => {
        throw asCestx(error, stream);
      });
    return new MessageSource(consumer, stream);
  }
}

/** Asks for so many messages at a time, never for more than there are hands for: what is asked for is held from then on. */
export class MessageSource {
  readonly #consumer: Consumer;
  readonly #stream: string;

  constructor(consumer: Consumer, stream: string) {
    this.#consumer = consumer;
    this.#stream = stream;
  }

  /** Up to `count` messages, each as soon as it is there, for at most `waitMs`. */
  async take(
    count: number,
    waitMs: number,
    handle: (message: LeasedMessage) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const messages = await this.#consumer.fetch({
      max_messages: count,
      expires: waitMs,
      idle_heartbeat: Math.min(5000, Math.floor(waitMs / 2)),
    });
    const stop = () => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const message of messages) handle(leased(this.#stream, message));
    } catch (error) {
      throw asCestx(error, this.#stream);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

function leased(stream: string, message: JsMsg): LeasedMessage {
  return {
    stream,
    subject: message.subject,
    sequence: message.seq,
    headers: fromHeaders(message.headers),
    data: Buffer.from(message.data.buffer, message.data.byteOffset, message.data.byteLength),
    storedAt: new Date(message.info.timestampNanos / 1e6),
    deliveries: message.info.deliveryCount,
    done: () => message.ack(),
    retryIn: (ms) => message.nak(ms),
    giveUp: (reason) => message.term(reason),
    extend: () => message.working(),
  };
}

function startOf(deliver: ConsumerSettings['deliver']): Partial<ConsumerConfig> {
  if (deliver === 'all') return { deliver_policy: DeliverPolicy.All };
  if (deliver === 'new') return { deliver_policy: DeliverPolicy.New };
  if ('sequence' in deliver) {
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: deliver.sequence };
  }
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(deliver.time).toISOString() };
}

function ignoreMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}

function isMissing(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 404;
  return error instanceof Error && /not found|no message|deleted/i.test(error.message);
}

function asCestx(error: unknown, stream: string): CestxError {
  if (error instanceof CestxError) return error;
  const detail = error instanceof Error ? error.message : String(error);
  if (isMissing(error)) {
    return new CestxError('not-found', `There is no stream ${stream}, or its consumer was deleted.`, {
      detail,
      cause: error,
    });
  }
  if (error instanceof JetStreamApiError && error.status === 400) {
    return new CestxError('bad-request', `The broker refuses such a trigger: ${detail}.`, { cause: error });
  }
  return new CestxError('unavailable', 'The message broker does not answer.', {
    retryable: true,
    detail,
    cause: error,
  });
}
