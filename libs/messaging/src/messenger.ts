import { randomUUID } from 'node:crypto';

import { errors, type NatsConnection } from '@nats-io/transport-node';
import { SpanKind, trace } from '@opentelemetry/api';
import type { z } from 'zod';

import {
  CestxError,
  failureSchema,
  subjectOf,
  type CommandType,
  type EventType,
  type PayloadOf,
  type QueryType,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import { headerNames, inSpan, traceHeaders } from '#storage';

import { parseJson } from './parse-json.ts';
import { toHeaders, type Publisher } from './publisher.ts';

/** A room's voice: asks other rooms, orders without a transaction, hears events live. */
export class Messenger {
  readonly #connection: NatsConnection;
  readonly #publisher: Publisher;

  constructor(connection: NatsConnection, publisher: Publisher) {
    this.#connection = connection;
    this.#publisher = publisher;
  }

  get connected(): boolean {
    return this.#canTell && this.#linked;
  }

  get #canTell(): boolean {
    return !this.#connection.isClosed() && !this.#connection.isDraining();
  }

  #linked = true;

  /** Follows the link so that `connected` tells the truth; call once. */
  watchLink(): void {
    void (async () => {
      for await (const status of this.#connection.status()) {
        if (status.type === 'disconnect' || status.type === 'staleConnection') this.#linked = false;
        if (status.type === 'reconnect') this.#linked = true;
      }
    })();
  }

  /** Asks the room that answers this query. Throws what that room threw, or `unavailable` when none answered in time. */
  async ask<Q extends QueryType>(
    query: Q,
    request: z.input<Q['request']> & RequestOfShape<Q>,
    options: { timeoutMs?: number } = {},
  ): Promise<ResponseOf<Q>> {
    const subject = subjectOf(query);
    const asking = async (): Promise<ResponseOf<Q>> => {
      const data = await this.#request(subject, request, options.timeoutMs ?? 5000);
      return query.response.parse(data) as ResponseOf<Q>;
    };
    // Probes and screens ask all the time: a question that belongs to no trace begins none.
    if (!trace.getActiveSpan()) return asking();
    const kind = { kind: SpanKind.CLIENT, attributes: { 'messaging.system': 'nats' } };
    return inSpan(`ask ${subject}`, kind, asking);
  }

  /** Orders something to be done; resolves once the broker has stored the order. */
  async send<C extends CommandType>(
    command: C,
    id: string,
    payload: PayloadOf<C>,
    options: { messageId?: string } = {},
  ): Promise<string> {
    const messageId = options.messageId ?? randomUUID();
    const subject = subjectOf(command, id);
    const attributes = {
      'messaging.system': 'nats',
      'messaging.destination.name': subject,
      'messaging.message.id': messageId,
    };
    await inSpan(`send ${subjectOf(command)}`, { kind: SpanKind.PRODUCER, attributes }, () =>
      this.#publisher.publish(subject, JSON.stringify(payload), {
        messageId,
        headers: { ...traceHeaders(), [headerNames.version]: String(command.version) },
      }),
    );
    return messageId;
  }

  /** Asks every process that answers `subject`, and collects what came within `waitMs`. */
  async askAll<T>(
    subject: string,
    request: object,
    schema: z.ZodType<T>,
    options: { waitMs: number },
  ): Promise<T[]> {
    const answers: T[] = [];
    try {
      const replies = await this.#connection.requestMany(subject, JSON.stringify(request), {
        strategy: 'stall',
        stall: Math.min(options.waitMs, 100),
        maxWait: options.waitMs,
      });
      for await (const reply of replies) {
        if (reply.data.length > 0) answers.push(schema.parse(reply.json()));
      }
    } catch (error) {
      if (!(error instanceof errors.NoRespondersError)) throw error;
    }
    return answers;
  }

  /**
   * Answers `subject` beside every other process that does. Whatever came before the question has had its effect by then:
   * who awaits an answer goes on a little later than a listener, though both came in one piece.
   */
  answerAll<T>(subject: string, schema: z.ZodType<T>, answer: (request: T) => object): void {
    this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        const parsed = schema.safeParse(parseJson(message.string()));
        if (!parsed.success) return;
        setImmediate(() => {
          if (this.#canTell) message.respond(JSON.stringify(answer(parsed.data)));
        });
      },
    });
  }

  /** Says `value` to whoever listens to `subject` at this moment; it is not kept, and may be lost with the link. */
  tell(subject: string, value: object): void {
    if (this.#canTell) this.#connection.publish(subject, JSON.stringify(value));
  }

  /** Hears what is told on `subject` from now on; returns how to stop. What has another shape is left out. */
  listen<T>(subject: string, schema: z.ZodType<T>, listener: (value: T) => void): () => void {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) return;
        const parsed = schema.safeParse(parseJson(message.string()));
        if (parsed.success) listener(parsed.data);
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Hears an event from now on, as long as this process lives; returns how to stop. For screens, not for work. */
  subscribe<E extends EventType>(
    event: E,
    id: string,
    listener: (payload: PayloadOf<E>, context: { id: string }) => void,
  ): () => void {
    const subscription = this.#connection.subscribe(subjectOf(event, id), {
      callback: (error, message) => {
        if (error) return;
        const parsed = event.schema.safeParse(parseJson(message.string()));
        if (parsed.success)
          listener(parsed.data as PayloadOf<E>, { id: message.subject.split('.').at(-1) ?? '' });
      },
    });
    return () => subscription.unsubscribe();
  }

  async #request(subject: string, request: object, timeoutMs: number): Promise<unknown> {
    const deadline = Date.now() + timeoutMs;
    const headers = toHeaders(traceHeaders());
    for (;;) {
      try {
        const timeout = Math.max(50, deadline - Date.now());
        const reply = await this.#connection.request(subject, JSON.stringify(request), { timeout, headers });
        if (!reply.headers?.get('Nats-Service-Error-Code')) return reply.json();
        const failure = failureSchema.parse(reply.json());
        throw new CestxError(
          failure.code,
          failure.message,
          failure.lastLines ? { lastLines: failure.lastLines } : {},
        );
      } catch (error) {
        if (error instanceof CestxError) throw error;
        // A room that is being started again has no subscription for an instant.
        if (error instanceof errors.RequestError && error.isNoResponders() && Date.now() + 100 < deadline) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          continue;
        }
        throw new CestxError('unavailable', 'A part of the platform does not answer.', {
          retryable: true,
          cause: error,
          detail: `${subject}: ${error instanceof Error ? error.message : String(error)}`,
        });
      }
    }
  }
}

type RequestOfShape<Q extends QueryType> = Partial<RequestOf<Q>>;
