import { context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import type { Logger } from 'pino';
import { In } from 'typeorm';

import type { Room } from '#contracts';
import { contextOf, OutboxRow, traceHeaders, withRoom, type Database } from '#storage';

import type { Publisher } from './publisher.ts';
import { subjectTemplate } from './subject-template.ts';

/** Rows taken in one go. */
const batchSize = 200;
/** Milliseconds after which rows of a process that died are looked for. */
const sweepEvery = 1000;

/**
 * Publishes what transactions left in the outbox, in the order of its ids, then deletes it. A kill in between publishes again with the
 * same message id, which the broker drops. The rows stay locked while they are published, so two relays of a room cannot reorder them.
 */
export class OutboxRelay {
  readonly #database: Database;
  readonly #publisher: Publisher;
  readonly #room: Room;
  readonly #logger: Logger;
  readonly #sweep: NodeJS.Timeout;
  /** Rows just committed here, not yet sent; spares reading them back. */
  #fresh: OutboxRow[] = [];
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;

  constructor(database: Database, publisher: Publisher, room: Room, logger: Logger) {
    this.#database = database;
    this.#publisher = publisher;
    this.#room = room;
    this.#logger = logger;
    database.onCommitted((messages) => this.#send(messages));
    this.#sweep = setInterval(() => this.kick(), sweepEvery);
  }

  /** Looks for rows that nobody in this process has in hand. */
  kick(): void {
    this.#again = true;
    this.#run();
  }

  #send(messages: OutboxRow[]): void {
    this.#fresh.push(...messages);
    this.#run();
  }

  #run(): void {
    if (this.#stopped) return;
    this.#running ??= context
      .with(ROOT_CONTEXT, () => this.#drain())
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** Stops after what is under way; the rest leaves at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#sweep);
    await this.#running;
  }

  async #drain(): Promise<void> {
    while ((this.#again || this.#fresh.length > 0) && !this.#stopped) {
      try {
        if (this.#again) {
          this.#again = false;
          // What is fresh is in the table too.
          this.#fresh = [];
          if ((await this.#relayBatch()) === batchSize) this.#again = true;
        } else {
          const rows = this.#fresh.splice(0);
          await this.#publishAll(rows);
          await this.#forget(rows);
        }
      } catch (error) {
        // From here on the table is the truth; the sweep sends it in order.
        this.#fresh = [];
        this.#logger.warn({ err: error }, 'outbox: could not publish, trying again');
        return;
      }
    }
  }

  async #relayBatch(): Promise<number> {
    return this.#database.dataSource.transaction(async (manager) => {
      const rows = await manager
        .createQueryBuilder(OutboxRow, 'o')
        .orderBy('o.id')
        .limit(batchSize)
        .setLock('pessimistic_write')
        .getMany();
      if (rows.length === 0) return 0;
      // One connection carries them in this order; waiting for the acknowledgements together keeps a batch to one round trip.
      await this.#publishAll(rows);
      await manager.delete(OutboxRow, { id: In(rows.map((row) => row.id)) });
      return rows.length;
    });
  }

  /**
   * Takes sent rows off the table without waiting for the disk: what a power cut brings back is sent again in order,
   * under ids that its readers know.
   */
  async #forget(rows: OutboxRow[]): Promise<void> {
    const ids = rows.map((row) => BigInt(row.id)).join(',');
    // Several statements in one query are one transaction (PostgreSQL, "Multiple Statements in a Simple Query").
    await this.#database.dataSource.query(
      `SET LOCAL synchronous_commit TO off; DELETE FROM outbox WHERE id IN (${ids})`,
    );
  }

  /** Messages on one subject one after the other, so that a repeated try cannot put an older one behind a newer. */
  async #publishAll(rows: OutboxRow[]): Promise<void> {
    const bySubject = Map.groupBy(rows, (row) => row.subject);
    await Promise.all(
      [...bySubject.values()].map(async (same) => {
        for (const row of same) await this.#publish(row);
      }),
    );
  }

  async #publish(row: OutboxRow): Promise<void> {
    const parent = withRoom(contextOf(row.headers, ROOT_CONTEXT), this.#room);
    const template = subjectTemplate(row.subject);
    const span = trace.getTracer('cestx').startSpan(
      `send ${template}`,
      {
        kind: SpanKind.PRODUCER,
        attributes: {
          'messaging.system': 'nats',
          'messaging.operation.type': 'send',
          'messaging.operation.name': 'publish',
          'messaging.destination.name': row.subject,
          'messaging.destination.template': template,
          'messaging.message.id': row.messageId,
        },
      },
      parent,
    );
    try {
      const headers = context.with(trace.setSpan(parent, span), traceHeaders);
      await this.#publisher.publish(row.subject, row.payload, {
        messageId: row.messageId,
        headers: { ...row.headers, ...headers },
      });
    } finally {
      span.end();
    }
  }
}
