import type { PoolClient } from 'pg';
import { DataSource, type EntitySchema, type MigrationInterface } from 'typeorm';

import { CestxError } from '#contracts';

import { migrate } from './migrate.ts';
import { InboxRow, OutboxRow } from './outbox.entity.ts';
import { Outbox1760000000000 } from './outbox.migration.ts';
import { Transaction } from './transaction.ts';

type EntityClass = (new () => object) | EntitySchema;
type MigrationClass = new () => MigrationInterface;

export interface DatabaseOptions {
  url: string;
  entities: EntityClass[];
  migrations: MigrationClass[];
  /** Connections at most; a room needs few. */
  poolSize?: number;
}

/** What a settled message was, for the inbox. */
export interface Settlement {
  /** The durable of an event's reader; empty for a command. */
  handler: string;
  messageId: string;
  correlation?: string | undefined;
  /** The command that can never be settled once this is. */
  undoes?: string | undefined;
}

/** Opens a room's database and brings its tables up to date. Throws when PostgreSQL does not answer. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dataSource = new DataSource({
    type: 'postgres',
    url: options.url,
    entities: [OutboxRow, InboxRow, ...options.entities],
    migrations: [Outbox1760000000000, ...options.migrations],
    migrationsTransactionMode: 'each',
    poolSize: options.poolSize ?? 10,
    connectTimeoutMS: 5000,
    extra: { idle_in_transaction_session_timeout: 60_000, keepAlive: true, pipeline: true },
    // A connection that breaks while idle is replaced by the pool at its next use.
    poolErrorHandler: () => undefined,
  });
  await dataSource.initialize();
  await migrate(dataSource);
  return new Database(dataSource);
}

/** A room's own PostgreSQL database, its outbox and its inbox. */
export class Database {
  readonly dataSource: DataSource;
  readonly #committed = new Set<(messages: OutboxRow[]) => void>();

  constructor(dataSource: DataSource) {
    this.dataSource = dataSource;
  }

  /** Runs `work` in a transaction; its messages leave once it is committed. */
  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#run({}, work);
  }

  /**
   * Commits `write` together with the note that the message was dealt with.
   * Returns false, with nothing written, when that note was there already: the message came twice, or was undone.
   */
  async settle(settlement: Settlement, write: (tx: Transaction) => Promise<void>): Promise<boolean> {
    const cause = {
      messageId: settlement.messageId,
      ...(settlement.correlation ? { correlation: settlement.correlation } : {}),
    };
    try {
      await this.#run(cause, async (tx) => {
        // The undone command first: if it is being committed right now this waits for it, and the write then sees its effect.
        if (settlement.undoes) note(tx, '', settlement.undoes).catch(() => undefined);
        const noted = note(tx, settlement.handler, settlement.messageId);
        // The server takes queries in the order they are sent, so the write need not wait for the note's answer to come back.
        const written = write(tx);
        const [isFirst] = await Promise.allSettled([noted, written]);
        if (isFirst.status === 'fulfilled' && !isFirst.value) throw new SettledBefore();
        await noted;
        await written;
      });
      return true;
    } catch (error) {
      if (error instanceof SettledBefore) return false;
      throw error;
    }
  }

  async isSettled(handler: string, messageId: string): Promise<boolean> {
    return this.dataSource.manager.existsBy(InboxRow, { handler, messageId });
  }

  /** Forgets settled messages that can no longer come again: no stream of ours keeps one for longer than 7 days. */
  async pruneInbox(): Promise<void> {
    await this.dataSource.query(`DELETE FROM inbox WHERE settled_at < now() - interval '14 days'`);
  }

  /** Calls back after each commit that has messages to send. */
  onCommitted(listener: (messages: OutboxRow[]) => void): void {
    this.#committed.add(listener);
  }

  /** Throws `unavailable` when PostgreSQL does not answer. */
  async check(): Promise<void> {
    try {
      await this.dataSource.query('SELECT 1');
    } catch (error) {
      throw new CestxError('unavailable', 'PostgreSQL does not answer.', { retryable: true, cause: error });
    }
  }

  async close(): Promise<void> {
    if (this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  async #run<T>(
    cause: { messageId?: string; correlation?: string },
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    const client = (await runner.connect()) as PoolClient;
    const tx = new Transaction(runner.manager, client, cause);
    try {
      void tx.query('START TRANSACTION');
      // Begun by hand, so that what follows need not wait for it; told here, so that TypeORM begins none of its own within.
      Object.assign(runner, { isTransactionActive: true });
      const value = await work(tx);
      await tx.commit();
      if (tx.messages.length > 0) for (const listener of this.#committed) listener(tx.messages);
      return value;
    } catch (error) {
      // After a commit this is a notice in the server's log, no more.
      await client.query('ROLLBACK').catch(() => undefined);
      throw error;
    } finally {
      Object.assign(runner, { isTransactionActive: false });
      await runner.release();
    }
  }
}

/** Rolls back a message that was settled, or undone, before. */
class SettledBefore extends Error {}

async function note(tx: Transaction, handler: string, messageId: string): Promise<boolean> {
  const rows = await tx.query(
    'INSERT INTO inbox (handler, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1',
    [handler, messageId],
  );
  return rows.length > 0;
}

/** True for errors that mean "PostgreSQL is away", which no number of attempts should count against. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  // SQLSTATE class 08 is a connection exception, 57P0x a server that is stopping or starting.
  return (
    /^(08|57P0)/.test(code) ||
    ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND'].includes(code) ||
    /Connection terminated|timeout expired|not queryable|Driver not Connected/i.test(error.message) ||
    (error.cause !== undefined && isDatabaseAway(error.cause))
  );
}
