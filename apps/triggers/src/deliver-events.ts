import { Inject, Injectable } from '@nestjs/common';
import { context, ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { asCestxError, type ErrorCode, type TriggerEntry } from '#contracts';
import { TraceBudget, traceCall, type FunctionAnswer, type Target } from '#invocation';
import type { LeasedMessage } from '#messaging';
import { withRoom } from '#storage';

import { DeadLetterRow } from './dead-letter.entity.ts';
import { DeadLetterStore } from './dead-letter.store.ts';
import { FailedTryStore } from './failed-try.store.ts';
import { FunctionCaller } from './function-caller.ts';
import { judgeAnswer, type Answer, type Verdict } from './judge-answer.ts';
import { ReplyPublisher } from './publish-reply.ts';
import { isWanted, readDelivery, requestOf, type Consumer, type Delivery } from './read-delivery.ts';
import type { TriggersConfig } from './triggers.config.ts';

/** Whose events, and where they come from. */
export interface Source {
  readonly entry: TriggerEntry;
  readonly consumer: Consumer;
}

interface LastAnswer {
  readonly status: number;
  readonly body: string;
}

/** The function was not asked: what passes by itself uses up no try. */
const notTried: ReadonlySet<ErrorCode> = new Set([
  'busy',
  'unavailable',
  'no-capacity',
  'over-quota',
  'not-found',
  'cancelled',
  'internal',
]);
/** Bytes of an answer that are read: a reply event, or what a dead letter keeps of it. */
const maxAnswer = 1024 * 1024;
const keptOfBody = 1024;
const here = withRoom(ROOT_CONTEXT, 'triggers');
/** Milliseconds before a message comes again that could not even be settled, because the database is away. */
const unsettledDelay = 2000;

/** Hands events to their function and settles them by its answer: done, again later, or dead. */
@Injectable()
export class EventDeliverer {
  readonly #budget: TraceBudget;

  constructor(
    private readonly functions: FunctionCaller,
    private readonly failedTries: FailedTryStore,
    private readonly deadLetters: DeadLetterStore,
    private readonly replies: ReplyPublisher,
    @Inject(ROOM_CONFIG) private readonly config: TriggersConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.#budget = new TraceBudget(config.CESTX_TRACES_PER_SECOND);
  }

  /** Reads a message; null when it was settled at once, because it is none for this function or none at all. */
  async read(source: Source, message: LeasedMessage): Promise<Delivery | null> {
    const { entry, consumer } = source;
    try {
      const delivery = readDelivery(message, entry.project, consumer.durable);
      if (delivery.depth >= this.config.CESTX_EVENT_DEPTH) {
        const text = `It is the answer to an answer, ${delivery.depth} deep: the limit is ${this.config.CESTX_EVENT_DEPTH} (CESTX_EVENT_DEPTH).`;
        await this.#settle(source, [delivery], { kind: 'dead', reason: 'loop', message: text }, 0, null);
        return null;
      }
      if (isWanted(consumer, delivery)) return delivery;
      message.done();
    } catch (thrown) {
      const error = asCestxError(thrown);
      if (error.code !== 'invalid-event') {
        message.retryIn(unsettledDelay);
        return null;
      }
      await this.#settleUnread(source, message, error.message);
    }
    return null;
  }

  /** Hands over what was read, together when it is a batch. Never throws: every message is settled, or comes again. */
  async deliver(
    source: Source,
    deliveries: readonly Delivery[],
    target: Target,
    signal: AbortSignal,
  ): Promise<void> {
    const [first] = deliveries;
    if (!first) return;
    const { entry, consumer } = source;
    try {
      const again = deliveries.some(({ message }) => message.deliveries > 1);
      const failures = again
        ? Math.max(
            ...(await Promise.all(
              deliveries.map(({ message }) => this.failedTries.count(consumer.durable, message.sequence)),
            )),
          )
        : 0;
      const attempt = failures + 1;
      const batched = consumer.trigger?.kind !== 'schedule' && consumer.trigger?.batch !== undefined;
      const tried = await this.#try(entry, target, deliveries, batched, attempt, signal);
      const { last } = tried;
      const answer = await this.#publishReply(entry, first, tried);
      const age = Math.max(...deliveries.map(({ firstSeen }) => Date.now() - firstSeen.getTime()));
      const verdict = judgeAnswer(answer, { attempt, age }, entry.delivery);
      await this.#settle(source, deliveries, verdict, attempt, last, failures > 0);
    } catch (error) {
      // The database or the broker is away: nothing was settled, so all of it comes again.
      this.logger.warn(
        { err: error, durable: consumer.durable },
        'an event could not be settled, it comes again',
      );
      for (const { message } of deliveries) message.retryIn(unsettledDelay);
    }
  }

  /** An answer whose event is none, or too large, is no success: the event that caused it is tried again as often as any. */
  async #publishReply(
    entry: TriggerEntry,
    cause: Delivery,
    { answer, reply }: { answer: Answer; reply: FunctionAnswer | null },
  ): Promise<Answer> {
    if (answer.kind !== 'answered' || answer.status >= 300 || !reply) return answer;
    try {
      await this.replies.publish(entry, cause, reply);
      return answer;
    } catch (thrown) {
      const error = asCestxError(thrown);
      if (error.code !== 'invalid-event' && error.code !== 'too-large') throw error;
      return { kind: 'failed', error };
    }
  }

  async #try(
    entry: TriggerEntry,
    target: Target,
    deliveries: readonly Delivery[],
    batched: boolean,
    attempt: number,
    signal: AbortSignal,
  ): Promise<{ answer: Answer; last: LastAnswer | null; reply: FunctionAnswer | null }> {
    const [first] = deliveries as [Delivery];
    const { headers, body } = requestOf(deliveries, batched, attempt);
    const call = {
      method: 'POST',
      function: entry.function,
      project: entry.project,
      callId: first.callId,
      path: '/',
      span: {
        name: `process ${first.message.stream}`,
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system': 'nats',
          'messaging.operation.type': 'process',
          'messaging.operation.name': 'process',
          'messaging.destination.name': first.message.subject,
          'messaging.batch.message_count': deliveries.length,
          'cloudevents.event_id': first.event.attributes.id,
          'cloudevents.event_type': first.event.attributes.type,
          'cestx.attempt': attempt,
        },
      },
    };
    const trace = context.with(here, () =>
      traceCall(first.message.headers['traceparent'], call, this.#budget),
    );
    try {
      const answer = await this.functions.send(target, {
        method: 'POST',
        path: '/',
        headers,
        body,
        maxAnswer,
        trace,
        signal,
      });
      const retryAfter = answer.headers['retry-after'];
      return {
        answer: {
          kind: 'answered',
          status: answer.status,
          retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
        },
        last: { status: answer.status, body: startOf(answer.body) },
        reply: answer,
      };
    } catch (thrown) {
      const error = asCestxError(thrown);
      const kind = notTried.has(error.code) ? 'not-tried' : 'failed';
      return { answer: { kind, error }, last: null, reply: null };
    }
  }

  async #settle(
    { entry, consumer }: Source,
    deliveries: readonly Delivery[],
    verdict: Verdict,
    attempt: number,
    last: LastAnswer | null,
    hadFailed = attempt > 1,
  ): Promise<void> {
    const { durable } = consumer;
    const sequences = deliveries.map(({ message }) => message.sequence);
    if (verdict.kind === 'retry') {
      if (verdict.counts) await this.failedTries.note(durable, sequences, attempt);
      this.logger.debug({ durable, sequences, attempt, delay: verdict.delay }, verdict.message);
      for (const { message } of deliveries) message.retryIn(verdict.delay);
      return;
    }
    if (verdict.kind === 'dead') {
      const { project, function: name } = entry;
      await this.deadLetters.transaction(async (tx) => {
        for (const { message, event, firstSeen } of deliveries) {
          const row = deadLetterOf(message, {
            project,
            function: name,
            trigger: consumer.trigger?.id ?? null,
            eventId: event.attributes.id,
            eventType: event.attributes.type,
            reason: verdict.reason,
            message: verdict.message,
            attempts: attempt,
            lastStatus: last?.status ?? null,
            lastBody: last?.body ?? null,
            receivedAt: firstSeen,
            id: `${durable}-${message.sequence}`,
          });
          await this.deadLetters.bury(tx, row, entry.delivery.deadLetter);
        }
      });
    }
    if (hadFailed) await this.failedTries.forget(durable, sequences);
    for (const { message } of deliveries) {
      if (verdict.kind === 'dead') message.giveUp(verdict.reason);
      else message.done();
    }
  }

  async #settleUnread({ entry, consumer }: Source, message: LeasedMessage, text: string): Promise<void> {
    const { project, function: name } = entry;
    const row = deadLetterOf(message, {
      project,
      function: name,
      trigger: consumer.trigger?.id ?? null,
      eventId: '',
      eventType: '',
      reason: 'invalid-event',
      message: text,
      attempts: 0,
      lastStatus: null,
      lastBody: null,
      receivedAt: message.storedAt,
      id: `${consumer.durable}-${message.sequence}`,
    });
    try {
      await this.deadLetters.transaction((tx) => this.deadLetters.bury(tx, row, entry.delivery.deadLetter));
      message.giveUp('invalid-event');
    } catch (error) {
      this.logger.warn({ err: error }, 'a dead letter could not be kept, the message comes again');
      message.retryIn(unsettledDelay);
    }
  }
}

type AboutDead = Omit<
  DeadLetterRow,
  'stream' | 'sequence' | 'subject' | 'headers' | 'data' | 'traceId' | 'diedAt'
>;

function deadLetterOf(message: LeasedMessage, about: AboutDead): DeadLetterRow {
  const row = new DeadLetterRow();
  return Object.assign(row, about, {
    stream: message.stream,
    sequence: String(message.sequence),
    subject: message.subject,
    headers: message.headers,
    data: message.data,
    traceId: /^00-([0-9a-f]{32})-/.exec(message.headers['traceparent'] ?? '')?.[1] ?? null,
    diedAt: new Date(),
  });
}

/** PostgreSQL takes no NUL in text. */
function startOf(body: Buffer): string {
  return body.subarray(0, keptOfBody).toString('utf8').replaceAll('\0', '\uFFFD');
}
