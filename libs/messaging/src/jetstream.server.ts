import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import type { Service } from '@nats-io/services';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Logger } from 'pino';
import { lastValueFrom } from 'rxjs';

import { kebab, subjectOf, type CommandType, type QueryType, type Room } from '#contracts';
import type { Database } from '#storage';

import { consumeMessages, type Consumption } from './consume-messages.ts';
import type { HandlerTag, MessageContext } from './handlers.ts';
import { lease, MessageRunner, type ConsumedTag } from './message-runner.ts';
import type { Publisher } from './publisher.ts';
import { serveQueries } from './query-service.ts';
import { streamNames } from './streams.ts';

export interface JetStreamServerOptions {
  connection: NatsConnection;
  database: Database;
  publisher: Publisher;
  room: Room;
  logger: Logger;
  /** Every command and query the room must handle; start fails when one has no handler. */
  expected: (CommandType | QueryType)[];
  /** Messages of one handler at a time. */
  concurrency?: number;
}

/** Nest's transport on JetStream: durable pull consumers for commands and events, a NATS service for queries. */
export class JetStreamServer extends Server implements CustomTransportStrategy {
  readonly #options: JetStreamServerOptions;
  readonly #stopping = new AbortController();
  readonly #consumptions: Consumption[] = [];
  #service: Service | undefined;

  constructor(options: JetStreamServerOptions) {
    super();
    this.#options = options;
  }

  override addHandler(
    pattern: string,
    callback: MessageHandler,
    isEventHandler?: boolean,
    extras?: Record<string, unknown>,
  ): void {
    if (this.messageHandlers.has(pattern))
      throw new Error(`Two handlers for ${pattern} in the ${this.#options.room} room.`);
    super.addHandler(pattern, callback, isEventHandler, extras);
  }

  async listen(callback: (error?: unknown) => void): Promise<void> {
    try {
      await this.#start();
      callback();
    } catch (error) {
      callback(error);
    }
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#service?.stop();
    await Promise.all(this.#consumptions.map((consumption) => consumption.stop()));
  }

  /** The base class offers its library's events here; ours has none. */
  on(): void {
    return undefined;
  }

  unwrap<T>(): T {
    return this.#options.connection as T;
  }

  async #start(): Promise<void> {
    this.#checkComplete();
    const { connection, database, publisher, room, logger } = this.#options;
    const house = { database, publisher, room, logger, signal: this.#stopping.signal };
    const queries: { query: QueryType; answer: (request: unknown) => Promise<unknown> }[] = [];
    for (const handler of this.messageHandlers.values()) {
      const tag = tagOf(handler);
      if (tag.kind === 'query') {
        queries.push({ query: tag.query, answer: (request) => invoke(handler, request) });
        continue;
      }
      const runner = new MessageRunner(tag, (payload, context) => invoke(handler, payload, context), house);
      this.#consumptions.push(
        await consumeMessages(
          connection,
          tag.kind === 'command' ? streamNames.commands : streamNames.events,
          {
            durable_name: tag.durable,
            filter_subjects: filtersOf(tag),
            ack_policy: AckPolicy.Explicit,
            ack_wait: nanos(lease),
            deliver_policy: DeliverPolicy.All,
            max_deliver: -1,
            max_ack_pending: 1000,
          },
          (tag.kind === 'command' ? tag.concurrency : undefined) ?? this.#options.concurrency ?? 16,
          (message) => runner.run(message),
          logger,
        ),
      );
    }
    this.#service = await serveQueries(connection, room, queries);
  }

  #checkComplete(): void {
    for (const type of this.#options.expected) {
      const pattern = type.kind === 'query' ? `query:${type.name}` : `command:${kebab(type.name)}`;
      if (!this.messageHandlers.has(pattern))
        throw new Error(`The ${this.#options.room} room has no handler for ${type.name}.`);
    }
  }
}

function tagOf(handler: MessageHandler): HandlerTag {
  const tag = handler.extras?.['tag'] as HandlerTag | undefined;
  if (!tag)
    throw new Error('A handler was not marked with HandleCommand, ListenTo, ListenToEnds or AnswerQuery.');
  return tag;
}

function filtersOf(tag: ConsumedTag): string[] {
  if (tag.kind === 'command') return [subjectOf(tag.command)];
  if (tag.kind === 'event') return [subjectOf(tag.event)];
  return tag.commands.flatMap((command) => [subjectOf(command.done), subjectOf(command.failed)]);
}

/** Nest hands back a promise of an observable; with our error filter it fails with what the handler threw. */
async function invoke(handler: MessageHandler, payload: unknown, context?: MessageContext): Promise<unknown> {
  const result: unknown = await handler(payload, context);
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}

function isObservable(value: unknown): value is Parameters<typeof lastValueFrom>[0] {
  return typeof value === 'object' && value !== null && 'subscribe' in value;
}
