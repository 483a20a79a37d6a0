import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

import { CestxError, endpointsBucket, type Endpoint, type Failure } from '#contracts';
import { Database, type Transaction } from '#storage';

import { MachineRow, RemovedMachineRow } from './machine.entity.ts';

export type NewMachine = Pick<
  MachineRow,
  'id' | 'project' | 'function' | 'revision' | 'artifact' | 'settings' | 'driver'
>;

/** How long an id that was removed stays refused: longer than any command waits in a queue. */
const tombstoneDays = 14;

/**
 * The machines that should be, and their copies in the KV bucket, which callers read.
 *
 * 1. A machine is in the bucket only while its row is `running`; both change in one transaction.
 * 2. Who writes has locked the id. An id with a tombstone gets no row, and its row no other state, ever again.
 */
@Injectable()
export class MachineStore {
  constructor(private readonly database: Database) {}

  async house(): Promise<string> {
    const rows: { id: string }[] = await this.database.dataSource.query('SELECT id FROM house LIMIT 1');
    return rows[0]?.id ?? 'unknown';
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(work);
  }

  find(id: string): Promise<MachineRow | null> {
    return this.#manager.findOneBy(MachineRow, { id });
  }

  list(filter: { project?: string | undefined; function?: string | undefined } = {}): Promise<MachineRow[]> {
    const where = {
      ...(filter.project ? { project: filter.project } : {}),
      ...(filter.function ? { function: filter.function } : {}),
    };
    return this.#manager.find(MachineRow, { where, order: { createdAt: 'ASC', id: 'ASC' } });
  }

  /** Of these machines, the ones that are to go. */
  async removedAmong(ids: readonly string[]): Promise<Set<string>> {
    const rows: { id: string }[] = await this.#manager.query(
      'SELECT id FROM removed_machine WHERE id = ANY($1)',
      [ids],
    );
    return new Set(rows.map(({ id }) => id));
  }

  findRemoved(id: string): Promise<RemovedMachineRow | null> {
    return this.#manager.findOneBy(RemovedMachineRow, { id });
  }

  /** Notes that there is to be such a machine, before anything of it is made; a row that is there already stays as it is. */
  async begin(machine: NewMachine): Promise<MachineRow> {
    return this.database.transaction(async (tx) => {
      await this.#lock(tx, machine.id);
      await tx.manager.query(
        `INSERT INTO machine (id, project, "function", revision, artifact, settings, driver, state)
         SELECT $1, $2, $3, $4, $5, $6, $7, 'creating' WHERE NOT EXISTS (SELECT FROM removed_machine WHERE id = $1)
         ON CONFLICT (id) DO NOTHING`,
        [
          machine.id,
          machine.project,
          machine.function,
          machine.revision,
          machine.artifact,
          machine.settings,
          machine.driver,
        ],
      );
      const row = await tx.manager.findOneBy(MachineRow, { id: machine.id });
      if (!row || (await tx.manager.existsBy(RemovedMachineRow, { id: machine.id })))
        throw undone(machine.id);
      return row;
    });
  }

  /** It can be called now. Throws `undone` when it was removed in the meantime. */
  async markRunning(tx: Transaction, machine: MachineRow, address: string): Promise<void> {
    const change = { state: 'running', address, retryAt: null, runningSince: new Date() } as const;
    if (!(await this.#change(tx, machine.id, change))) throw undone(machine.id);
    await this.#putEndpoint(tx, machine, address, 'ready');
  }

  /** It still answers, but no new call is to go there. */
  async markDraining(tx: Transaction, machine: MachineRow): Promise<void> {
    await this.#lock(tx, machine.id);
    const row = await tx.manager.findOneBy(MachineRow, { id: machine.id });
    if (row?.state === 'running' && row.address) await this.#putEndpoint(tx, row, row.address, 'draining');
  }

  /** It cannot be called. False when there is no such machine any more. */
  async markDown(
    tx: Transaction,
    machine: MachineRow,
    change: { state: 'stopped' | 'failed'; restarts: number; retryAt: Date | null },
  ): Promise<boolean> {
    const changed = await this.#change(tx, machine.id, { ...change, address: null, runningSince: null });
    if (changed) await tx.delete(endpointsBucket, endpointKey(machine));
    return changed;
  }

  /** From now on this id is never started, whether or not it ever was. */
  async entomb(tx: Transaction, id: string, failure: Failure | null = null): Promise<void> {
    await this.#lock(tx, id);
    await tx.manager.query(
      'INSERT INTO removed_machine (id, failure) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING',
      [id, failure],
    );
    const row = await tx.manager.findOneBy(MachineRow, { id });
    if (row) await tx.delete(endpointsBucket, endpointKey(row));
  }

  /** Nothing of it is left but its tombstone. */
  async forget(tx: Transaction, id: string): Promise<void> {
    await this.#lock(tx, id);
    await tx.manager.delete(MachineRow, { id });
  }

  async purgeTombstones(): Promise<void> {
    await this.#manager.query(
      `DELETE FROM removed_machine r WHERE removed_at < now() - interval '${tombstoneDays} days'
       AND NOT EXISTS (SELECT FROM machine m WHERE m.id = r.id)`,
    );
  }

  async #change(tx: Transaction, id: string, change: Partial<MachineRow>): Promise<boolean> {
    await this.#lock(tx, id);
    if (await tx.manager.existsBy(RemovedMachineRow, { id })) return false;
    return ((await tx.manager.update(MachineRow, { id }, change)).affected ?? 0) > 0;
  }

  async #putEndpoint(
    tx: Transaction,
    machine: MachineRow,
    address: string,
    state: Endpoint['state'],
  ): Promise<void> {
    const { revision, settings } = machine;
    const endpoint: Endpoint = {
      machine: machine.id,
      revision,
      address,
      state,
      concurrency: settings.concurrency,
    };
    await tx.put(endpointsBucket, endpointKey(machine), endpoint);
  }

  async #lock(tx: Transaction, id: string): Promise<void> {
    await tx.manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [id]);
  }

  get #manager(): EntityManager {
    return this.database.dataSource.manager;
  }
}

function endpointKey(machine: Pick<MachineRow, 'id' | 'project' | 'function'>): string {
  return `${machine.project}.${machine.function}.${machine.id}`;
}

function undone(id: string): CestxError {
  return new CestxError('undone', `The machine ${id} was removed before it could start.`);
}
