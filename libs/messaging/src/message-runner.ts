import type { JsMsg } from '@nats-io/jetstream';
import { context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Logger } from 'pino';

import { asCestxError, CestxError, kebab, type CommandType, type EventType, type Room } from '#contracts';
import {
  contextOf,
  headerNames,
  isDatabaseAway,
  withRoom,
  type Database,
  type Settlement,
  type Transaction,
} from '#storage';

import { deadLetter, oneLine } from './dead-letters.ts';
import { failpoint } from './failpoints.ts';
import type { CommandEnd, HandlerTag, MessageContext, Outcome, Write } from './handlers.ts';
import { fromHeaders, type Publisher } from './publisher.ts';
import { subjectTemplate } from './subject-template.ts';

/** Milliseconds after which an unacknowledged message is delivered again; a handler at work renews it at a third of that. */
export const lease = 6000;
const maxAttempts = 20;

export type ConsumedTag = Exclude<HandlerTag, { kind: 'query' }>;
type Invoke = (payload: unknown, context: MessageContext) => Promise<unknown>;

/**
 * Takes one message through its handler.
 * 1. The handler's outside effects come first and may run twice.
 * 2. Its write, the inbox row and the outcome event commit together, once.
 * 3. The message is acknowledged only after that commit.
 * 4. What cannot be handled is copied to the dead letters before it leaves its queue, and never blocks what is behind it.
 */
export class MessageRunner {
  readonly #tag: ConsumedTag;
  readonly #invoke: Invoke;
  readonly #house: {
    database: Database;
    publisher: Publisher;
    room: Room;
    logger: Logger;
    signal: AbortSignal;
  };
  readonly #running = new Set<string>();

  constructor(
    tag: ConsumedTag,
    invoke: Invoke,
    house: { database: Database; publisher: Publisher; room: Room; logger: Logger; signal: AbortSignal },
  ) {
    this.#tag = tag;
    this.#invoke = invoke;
    this.#house = house;
  }

  async run(message: JsMsg): Promise<void> {
    const headers = fromHeaders(message.headers);
    const id = headers['Nats-Msg-Id'] ?? `${message.info.stream}-${message.seq}`;
    // The broker delivers again when a renewal came late; the one at work goes on.
    if (this.#running.has(id)) return message.nak(lease / 2);
    this.#running.add(id);
    const renewal = setInterval(() => message.working(), lease / 3);
    const template = subjectTemplate(message.subject);
    const parent = withRoom(contextOf(headers, ROOT_CONTEXT), this.#house.room);
    const span = trace.getTracer('cestx').startSpan(
      `process ${template}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          'messaging.system': 'nats',
          'messaging.operation.type': 'process',
          'messaging.operation.name': 'process',
          'messaging.destination.name': message.subject,
          'messaging.destination.template': template,
          'messaging.consumer.group.name': this.#tag.durable,
          'messaging.message.id': id,
          'cestx.attempt': message.info.deliveryCount,
        },
      },
      parent,
    );
    try {
      await context.with(trace.setSpan(parent, span), () => this.#process(message, id, headers));
    } catch (error) {
      const cestx = asCestxError(error);
      span.recordException(cestx);
      span.setStatus({ code: SpanStatusCode.ERROR, message: cestx.message });
      await this.#giveBack(message, cestx);
    } finally {
      clearInterval(renewal);
      this.#running.delete(id);
      span.end();
    }
  }

  async #process(message: JsMsg, id: string, headers: Record<string, string>): Promise<void> {
    const settlement: Settlement = {
      handler: this.#tag.kind === 'command' ? '' : this.#tag.durable,
      messageId: id,
      correlation: headers[headerNames.correlation],
      undoes: headers[headerNames.undoes],
    };
    // A first delivery is looked up only when it is settled; looking here too saves a second one its effects.
    if (message.redelivered && (await this.#house.database.isSettled(settlement.handler, id)))
      return message.ack();

    let written: boolean;
    let deadReason: string | undefined;
    try {
      const payload = this.#read(message, headers);
      failpoint(this.#tag.durable, 'before-effect');
      const result = await this.#invoke(payload, {
        id,
        attempt: message.info.deliveryCount,
        correlation: settlement.correlation,
        signal: this.#house.signal,
      });
      failpoint(this.#tag.durable, 'after-effect');
      written = await this.#house.database.settle(settlement, this.#writeOf(result, message.subject));
    } catch (thrown) {
      const failure = await this.#endInFailure(thrown, message);
      deadReason = failure.deadReason;
      written = await this.#house.database.settle(settlement, failure.write);
    }
    failpoint(this.#tag.durable, 'after-commit');
    if (!written)
      this.#house.logger.info(
        { messageId: id, durable: this.#tag.durable },
        'message was settled or undone before',
      );
    if (deadReason === undefined) message.ack();
    else message.term(oneLine(deadReason, 100));
  }

  /** What the handler gets; throws `invalid-message` for what is not JSON, of another version, or of another shape. */
  #read(message: JsMsg, headers: Record<string, string>): unknown {
    const type = this.#typeOf(message.subject);
    const version = headers[headerNames.version];
    if (version !== String(type.version)) {
      throw invalid(`${type.name} has version ${version ?? 'none'}, this reader knows ${type.version}.`);
    }
    const expires = headers[headerNames.expires];
    if (expires && Date.parse(expires) < Date.now()) {
      throw new CestxError('expired', `${type.name} was to be done before ${expires}.`);
    }
    let json: unknown;
    try {
      json = message.json();
    } catch {
      throw invalid(`${type.name} is not JSON.`);
    }
    const parsed = type.schema.safeParse(json);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw invalid(
        `${type.name} has another shape: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim(),
      );
    }
    return this.#tag.kind === 'ends' ? this.#endOf(message.subject, parsed.data, headers) : parsed.data;
  }

  #typeOf(subject: string): CommandType | EventType {
    if (this.#tag.kind === 'command') return this.#tag.command;
    if (this.#tag.kind === 'event') return this.#tag.event;
    const name = nameIn(subject);
    for (const command of this.#tag.commands) {
      if (kebab(command.done.name) === name) return command.done;
      if (kebab(command.failed.name) === name) return command.failed;
    }
    throw invalid(`${name} ends no command this reader knows.`);
  }

  #endOf(subject: string, payload: unknown, headers: Record<string, string>): CommandEnd {
    const commands = this.#tag.kind === 'ends' ? this.#tag.commands : [];
    const name = nameIn(subject);
    const command = commands.find((one) => kebab(one.done.name) === name || kebab(one.failed.name) === name);
    if (!command) throw invalid(`${name} ends no command this reader knows.`);
    const failed = kebab(command.failed.name) === name;
    return {
      commandId: headers[headerNames.causation] ?? '',
      command,
      result: failed ? { ok: false, failure: command.failed.schema.parse(payload) } : { ok: true, payload },
    };
  }

  #writeOf(result: unknown, subject: string): Write {
    if (this.#tag.kind !== 'command') return (result as Write | undefined) ?? (async () => undefined);
    const { done, write } = result as Outcome<CommandType>;
    const { command } = this.#tag;
    return async (tx: Transaction) => {
      await write?.(tx);
      await tx.emit(command.done, idIn(subject), done);
    };
  }

  /** How a handler that failed for good ends; throws again what another try may mend. */
  async #endInFailure(
    thrown: unknown,
    message: JsMsg,
  ): Promise<{ write: Write; deadReason: string | undefined }> {
    if (this.#house.signal.aborted || isDatabaseAway(thrown)) throw thrown;
    const error = asCestxError(thrown);
    const exhausted = message.info.deliveryCount >= maxAttempts;
    if (error.retryable && (error.code === 'unavailable' || !exhausted)) throw error;
    const { durable } = this.#tag;
    this.#house.logger.warn({ err: error, detail: error.detail, durable }, 'handler failed for good');
    const command = this.#tag.kind === 'command' ? this.#tag.command : undefined;
    // A command that was understood and refused is answered, not dead.
    const dead = error.retryable || error.code === 'invalid-message' || !command;
    if (dead) await deadLetter(this.#house.publisher, message, durable, error.message);
    return {
      write: async (tx) => command && tx.emit(command.failed, idIn(message.subject), error.toFailure()),
      deadReason: dead ? error.message : undefined,
    };
  }

  async #giveBack(message: JsMsg, error: CestxError): Promise<void> {
    const stopping = this.#house.signal.aborted;
    const delay = stopping ? 100 : backoff(message.info.deliveryCount);
    if (!stopping) {
      this.#house.logger.warn(
        {
          err: error,
          detail: error.detail,
          durable: this.#tag.durable,
          attempt: message.info.deliveryCount,
          delay,
        },
        'handler failed, trying again',
      );
    }
    message.nak(delay);
  }
}

/** Milliseconds before attempt n + 1: doubling from 200 to 10 000, with jitter so that a crowd does not come back together. */
function backoff(attempt: number): number {
  return Math.min(10_000, 200 * 2 ** Math.min(attempt - 1, 10)) * (0.5 + Math.random() / 2);
}

function invalid(message: string): CestxError {
  return new CestxError('invalid-message', message);
}

/** `cestx.event.machines.machine-started.<id>` → `machine-started`. */
function nameIn(subject: string): string {
  return subject.split('.')[3] ?? '';
}

function idIn(subject: string): string {
  return subject.split('.')[4] ?? '';
}
