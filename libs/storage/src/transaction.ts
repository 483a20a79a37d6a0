import { randomUUID } from 'node:crypto';

import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';

import { subjectOf, type CommandType, type EventType, type PayloadOf } from '#contracts';

import { OutboxRow } from './outbox.entity.ts';
import { traceHeaders } from './span-context.ts';

/** How headers of our messages are called on the wire. */
export const headerNames = {
  version: 'cestx-version',
  correlation: 'cestx-correlation',
  causation: 'cestx-causation',
  undoes: 'cestx-undoes',
  expires: 'cestx-expires',
} as const;

export interface SendOptions {
  /** Given when the same command may be sent again by a retry; the broker and the reader take it once. */
  messageId?: string;
  /** The id of the command that this one undoes: once this is settled, that one never will be. */
  undoes?: string;
  /** After this the reader refuses the command as `expired`. */
  expiresAt?: Date;
  /** The saga run the command belongs to; it comes back with the command's end. */
  correlation?: string;
}

/** One database transaction and the messages that leave when it commits. */
export class Transaction {
  readonly manager: EntityManager;
  readonly #cause: { messageId?: string; correlation?: string };
  readonly messages: OutboxRow[] = [];
  readonly #client: PoolClient;
  readonly #sent: Promise<unknown>[] = [];
  readonly #afterCommit: (() => void)[] = [];

  constructor(
    manager: EntityManager,
    client: PoolClient,
    cause: { messageId?: string; correlation?: string },
  ) {
    this.manager = manager;
    this.#client = client;
    this.#cause = cause;
  }

  /**
   * Sends a query at once, without waiting for those before it: the server takes them in the order of these calls.
   * A failed one fails all that follow, the commit among them.
   */
  query<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
    const sent = this.#client.query<R>(text, values).then(({ rows }) => rows);
    // Observed again before the commit; until then a failure must not count as unhandled.
    sent.catch(() => undefined);
    this.#sent.push(sent);
    return sent;
  }

  /** Says that something has happened; `id` is the last token of the subject. */
  async emit<E extends EventType>(event: E, id: string, payload: PayloadOf<E>): Promise<void> {
    const valid = event.schema.parse(payload);
    this.#add(
      subjectOf(event, id),
      randomUUID(),
      { [headerNames.version]: String(event.version) },
      JSON.stringify(valid),
    );
  }

  /** Orders something to be done and returns the id of the command. */
  async send<C extends CommandType>(
    command: C,
    id: string,
    payload: PayloadOf<C>,
    options: SendOptions = {},
  ): Promise<string> {
    const messageId = options.messageId ?? randomUUID();
    const headers: Record<string, string> = { [headerNames.version]: String(command.version) };
    if (options.undoes) headers[headerNames.undoes] = options.undoes;
    if (options.expiresAt) headers[headerNames.expires] = options.expiresAt.toISOString();
    if (options.correlation) headers[headerNames.correlation] = options.correlation;
    this.#add(subjectOf(command, id), messageId, headers, JSON.stringify(payload));
    return messageId;
  }

  /** Sets a key of a KV bucket: a put is a publish on the bucket's subject (NATS ADR-8), so it can go through the outbox. */
  async put(bucket: string, key: string, value: object): Promise<void> {
    this.#add(`$KV.${bucket}.${key}`, randomUUID(), {}, JSON.stringify(value));
  }

  async delete(bucket: string, key: string): Promise<void> {
    this.#add(`$KV.${bucket}.${key}`, randomUUID(), { 'KV-Operation': 'DEL' }, '');
  }

  /** Publishes anything; `messageId` is the same for what is to be stored once. */
  async publish(
    subject: string,
    payload: string,
    options: { messageId: string; headers: Record<string, string> },
  ): Promise<void> {
    this.#add(subject, options.messageId, options.headers, payload);
  }

  #add(subject: string, messageId: string, headers: Record<string, string>, payload: string): void {
    const row = new OutboxRow();
    row.messageId = messageId;
    row.subject = subject;
    row.headers = {
      ...(this.#cause.messageId ? { [headerNames.causation]: this.#cause.messageId } : {}),
      ...(this.#cause.correlation ? { [headerNames.correlation]: this.#cause.correlation } : {}),
      ...traceHeaders(),
      ...headers,
    };
    row.payload = payload;
    this.messages.push(row);
  }

  /** Runs `note` once this transaction is on disk, and never otherwise: for copies in memory of what it wrote. */
  afterCommit(note: () => void): void {
    this.#afterCommit.push(note);
  }

  /** Commits, the messages of this transaction in one statement right before; resolves when both are on disk. */
  async commit(): Promise<void> {
    const inserted = this.#insertMessages();
    const committed = this.#client.query('COMMIT');
    committed.catch(() => undefined);
    await Promise.all(this.#sent);
    const { command } = await committed;
    // PostgreSQL answers so, and without an error, when something before had failed.
    if (command !== 'COMMIT') throw new Error('The transaction was rolled back.');
    for (const [index, { id }] of (await inserted).entries()) {
      const message = this.messages[index];
      if (message) message.id = id;
    }
    for (const note of this.#afterCommit) note();
  }

  #insertMessages(): Promise<{ id: string }[]> {
    if (this.messages.length === 0) return Promise.resolve([]);
    return this.query<{ id: string }>(
      `INSERT INTO outbox (message_id, subject, headers, payload)
       SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::text[]) RETURNING id`,
      [
        this.messages.map((row) => row.messageId),
        this.messages.map((row) => row.subject),
        this.messages.map((row) => JSON.stringify(row.headers)),
        this.messages.map((row) => row.payload),
      ],
    );
  }
}
