import { Injectable } from '@nestjs/common';

import { routesBucket, type RouteEntry } from '#contracts';
import { Database, type Transaction } from '#storage';

import { RouteRow } from './route.entity.ts';

export interface RouteKey {
  project: string;
  function: string;
}

/**
 * The routes, and their copies in the KV bucket, which callers read.
 *
 * 1. A row and its copy are written in one transaction, never one without the other.
 * 2. Who writes has locked the key first, also where there is no row yet; so the copies of one route leave in the order in
 *    which its row changed, and an undo sees what the command it undoes has just committed.
 */
@Injectable()
export class RouteStore {
  constructor(private readonly database: Database) {}

  async find(key: RouteKey): Promise<RouteRow | null> {
    return this.#rows().findOneBy({ project: key.project, function: key.function });
  }

  async list(project?: string): Promise<RouteRow[]> {
    return this.#rows().find({
      ...(project ? { where: { project } } : {}),
      order: { project: 'ASC', function: 'ASC' },
    });
  }

  async hosts(): Promise<string[]> {
    const rows = await this.#rows().find({ select: { project: true, function: true, host: true } });
    return rows.map((row) => row.host);
  }

  /** The route as it is now, which stays so until the transaction ends. */
  async lock(tx: Transaction, key: RouteKey): Promise<RouteRow | null> {
    await tx.manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [entryKey(key)]);
    return tx.manager.findOneBy(RouteRow, { project: key.project, function: key.function });
  }

  /** Needs the lock. */
  async save(tx: Transaction, row: RouteRow): Promise<void> {
    await tx.manager.upsert(RouteRow, { ...row }, ['project', 'function']);
    await tx.put(routesBucket, entryKey(row), entryOf(row));
  }

  /** Needs the lock. */
  async remove(tx: Transaction, key: RouteKey): Promise<void> {
    await tx.manager.delete(RouteRow, { project: key.project, function: key.function });
    await tx.delete(routesBucket, entryKey(key));
  }

  /** Gives routes the hostname they would get today: after a change of the domain they would else keep the old one for ever. */
  async rename(hostOf: (key: RouteKey) => string): Promise<number> {
    const outdated = (await this.list()).filter((row) => row.host !== hostOf(row));
    for (const { project, function: name } of outdated) {
      await this.database.transaction(async (tx) => {
        const row = await this.lock(tx, { project, function: name });
        if (row) await this.save(tx, { ...row, host: hostOf(row) });
      });
    }
    return outdated.length;
  }

  /** Writes the copy anew, whatever it is now. */
  async republish(key: RouteKey): Promise<void> {
    await this.database.transaction(async (tx) => {
      const row = await this.lock(tx, key);
      if (row) await tx.put(routesBucket, entryKey(row), entryOf(row));
      else await tx.delete(routesBucket, entryKey(key));
    });
  }

  #rows() {
    return this.database.dataSource.getRepository(RouteRow);
  }
}

export function entryKey(key: RouteKey): string {
  return `${key.project}.${key.function}`;
}

export function entryOf(row: RouteRow): RouteEntry {
  const { createdBy: _, ...entry } = row;
  return entry;
}
