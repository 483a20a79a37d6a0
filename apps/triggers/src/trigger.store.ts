import { Injectable } from '@nestjs/common';

import { triggersBucket, type DeliverySettings, type TriggerEntry, type TriggerSettings } from '#contracts';
import { Database, type Transaction } from '#storage';

import { callDurable, callsStream, durableOf, streamOf, type FunctionKey } from './consumer-names.ts';
import { EventFunctionRow, TriggerRow } from './trigger.entity.ts';

/**
 * What invokes each function, and its copy in the KV bucket, from which every process of this room and the scaler learn which
 * consumers there are. Rows and copy change in one transaction; who writes has locked the function first.
 */
@Injectable()
export class TriggerStore {
  constructor(private readonly database: Database) {}

  list(filter: { project: string; function?: string | undefined }): Promise<TriggerRow[]> {
    const where = { project: filter.project, ...(filter.function ? { function: filter.function } : {}) };
    return this.#manager.find(TriggerRow, { where, order: { function: 'ASC', createdAt: 'ASC', id: 'ASC' } });
  }

  find(key: FunctionKey, id: string): Promise<TriggerRow | null> {
    return this.#manager.findOneBy(TriggerRow, { project: key.project, function: key.function, id });
  }

  /** Whether events can be handed to this function. */
  isKnown({ project, function: name }: FunctionKey): Promise<boolean> {
    return this.#manager.existsBy(EventFunctionRow, { project, function: name });
  }

  /** Replaces the function's triggers; one that stays keeps when it is due and whether it is paused. */
  async set(
    tx: Transaction,
    key: FunctionKey,
    delivery: DeliverySettings,
    triggers: readonly { settings: TriggerSettings; nextAt: Date | null }[],
  ): Promise<void> {
    await this.#lock(tx, key);
    const { project, function: name } = key;
    await tx.manager.upsert(EventFunctionRow, { project, function: name, delivery }, ['project', 'function']);
    await tx.manager.query(
      'DELETE FROM trigger WHERE project = $1 AND "function" = $2 AND NOT (id = ANY($3))',
      [project, name, triggers.map(({ settings }) => settings.id)],
    );
    for (const { settings, nextAt } of triggers) {
      await tx.manager.query(
        `INSERT INTO trigger (project, "function", id, settings, next_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (project, "function", id) DO UPDATE SET settings = $4`,
        [project, name, settings.id, settings, nextAt],
      );
    }
    await this.#publish(tx, key);
  }

  async setPaused(
    tx: Transaction,
    key: FunctionKey,
    id: string,
    paused: boolean,
    nextAt: Date | null,
  ): Promise<void> {
    await this.#lock(tx, key);
    await tx.manager.update(
      TriggerRow,
      { project: key.project, function: key.function, id },
      { paused, nextAt },
    );
    await this.#publish(tx, key);
  }

  async remove(tx: Transaction, key: FunctionKey): Promise<void> {
    await this.#lock(tx, key);
    const { project, function: name } = key;
    await tx.manager.delete(TriggerRow, { project, function: name });
    await tx.manager.delete(EventFunctionRow, { project, function: name });
    await tx.delete(triggersBucket, `${project}.${name}`);
  }

  /** Schedules that are due, locked until the transaction ends; those another process has in hand are left out. */
  async due(tx: Transaction, now: Date, limit: number): Promise<TriggerRow[]> {
    return tx.manager
      .createQueryBuilder(TriggerRow, 't')
      .where('t.next_at <= :now AND NOT t.paused', { now })
      .orderBy('t.next_at')
      .limit(limit)
      .setLock('pessimistic_write')
      .setOnLocked('skip_locked')
      .getMany();
  }

  async setNext(tx: Transaction, row: TriggerRow, nextAt: Date | null): Promise<void> {
    const { project, function: name, id } = row;
    await tx.manager.update(TriggerRow, { project, function: name, id }, { nextAt });
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(work);
  }

  async #publish(tx: Transaction, key: FunctionKey): Promise<void> {
    const { project, function: name } = key;
    const row = await tx.manager.findOneByOrFail(EventFunctionRow, { project, function: name });
    const triggers = await tx.manager.findBy(TriggerRow, { project, function: name });
    const entry: TriggerEntry = {
      project,
      function: name,
      delivery: row.delivery,
      consumers: [
        { stream: callsStream, durable: callDurable(key), trigger: null, paused: false },
        ...triggers
          .filter(({ settings }) => settings.kind !== 'schedule')
          .map(({ settings, paused }) => ({
            stream: streamOf(settings),
            durable: durableOf(key, settings.id),
            trigger: settings,
            paused,
          })),
      ],
    };
    await tx.put(triggersBucket, `${project}.${name}`, entry);
  }

  async #lock(tx: Transaction, key: FunctionKey): Promise<void> {
    const name = `${key.project}.${key.function}`;
    await tx.manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [name]);
  }

  get #manager() {
    return this.database.dataSource.manager;
  }
}
