import { Injectable } from '@nestjs/common';

import { CestxError, EventDied, type DeadLetter, type RequestOf, type ListDeadLetters } from '#contracts';
import { Database, type Transaction } from '#storage';

import { DeadLetterRow } from './dead-letter.entity.ts';

export type DeadLetterFilter = Pick<
  RequestOf<typeof ListDeadLetters>,
  'project' | 'id' | 'function' | 'reason'
>;

@Injectable()
export class DeadLetterStore {
  constructor(private readonly database: Database) {}

  /** Keeps it (when it is to be kept) and says so; keeping the same one twice is harmless. */
  async bury(tx: Transaction, row: DeadLetterRow, keep: boolean): Promise<void> {
    if (keep) {
      await tx.manager.createQueryBuilder().insert().into(DeadLetterRow).values(row).orIgnore().execute();
    }
    await tx.emit(EventDied, row.id, { ...describeDeadLetter(row), kept: keep });
  }

  async get(project: string, id: string): Promise<DeadLetterRow> {
    const row = await this.#manager.findOneBy(DeadLetterRow, { project, id });
    if (!row) throw new CestxError('not-found', `There is no dead letter ${id}.`);
    return row;
  }

  /** Newest first; `after` is the cursor of the page before. */
  async list(
    filter: DeadLetterFilter & { diedBefore?: Date },
    limit: number,
    after?: string,
  ): Promise<DeadLetterRow[]> {
    const query = this.#manager.createQueryBuilder(DeadLetterRow, 'd').where(matching(filter));
    if (filter.diedBefore) query.andWhere('d.died_at < :diedBefore', filter);
    if (after) {
      const [time, id] = after.split('~');
      query.andWhere("(date_trunc('milliseconds', d.died_at), d.id) < (:time, :last)", { time, last: id });
    }
    return query
      .orderBy("date_trunc('milliseconds', d.died_at)", 'DESC')
      .addOrderBy('d.id', 'DESC')
      .limit(limit)
      .getMany();
  }

  async count(filter: DeadLetterFilter): Promise<number> {
    return this.#manager.countBy(DeadLetterRow, matching(filter));
  }

  async delete(ids: readonly string[]): Promise<void> {
    await this.#manager.query('DELETE FROM dead_letter WHERE id = ANY($1)', [ids]);
  }

  async purge(tx: Transaction, filter: DeadLetterFilter): Promise<void> {
    await tx.manager.delete(DeadLetterRow, matching(filter));
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(work);
  }

  get #manager() {
    return this.database.dataSource.manager;
  }
}

function matching({ project, id, function: name, reason }: DeadLetterFilter) {
  return {
    project,
    ...(id ? { id } : {}),
    ...(name ? { function: name } : {}),
    ...(reason ? { reason } : {}),
  };
}

export function cursorOf(row: DeadLetterRow): string {
  return `${row.diedAt.toISOString()}~${row.id}`;
}

export function describeDeadLetter(row: DeadLetterRow): DeadLetter {
  const { headers: _, data: __, ...rest } = row;
  return {
    ...rest,
    sequence: Number(row.sequence),
    receivedAt: row.receivedAt.toISOString(),
    diedAt: row.diedAt.toISOString(),
  };
}
