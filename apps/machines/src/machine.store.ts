import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

import { CestxError, endpointsBucket, MachineChanged, type Endpoint, type Failure } from '#contracts';
import { Database, type Transaction } from '#storage';

import { describeMachine } from './describe-machine.ts';
import { FleetRow } from './fleet.entity.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook, type RevisionKey } from './machine-book.ts';
import { MachineRow, RemovedMachineRow } from './machine.entity.ts';

export type NewMachine = Pick<
  MachineRow,
  'id' | 'project' | 'function' | 'revision' | 'artifact' | 'settings' | 'driver'
>;

/** How long an id that was removed stays refused: longer than any command waits in a queue. */
const tombstoneDays = 14;

/**
 * The machines that should be, and their copies: the KV bucket, which callers read, and the book, which this room reads.
 *
 * 1. A machine is in the bucket only while its row is `running`; both change in one transaction.
 * 2. Who writes has locked the id. An id with a tombstone gets no row, and its row no other state, ever again.
 * 3. The book changes with each commit. Each change of state is told as MachineChanged, from the same transaction.
 */
@Injectable()
export class MachineStore implements OnModuleInit {
  constructor(
    private readonly database: Database,
    private readonly book: MachineBook,
    private readonly ages: MachineAges,
  ) {}

  /** Before any message is taken and before the machines are looked at. */
  async onModuleInit(): Promise<void> {
    const rows = await this.list();
    for (const row of rows) this.book.set(row);
    for (const id of await this.removedAmong(rows.map((row) => row.id))) this.book.leave(id);
  }

  async house(): Promise<string> {
    const rows: { id: string }[] = await this.database.dataSource.query('SELECT id FROM house LIMIT 1');
    return rows[0]?.id ?? 'unknown';
  }

  /** Whether functions of this house were built for containers. */
  async inContainers(): Promise<boolean> {
    const rows: { found: boolean }[] = await this.database.dataSource.query(
      `SELECT EXISTS (SELECT 1 FROM fleet WHERE artifact->>'kind' = 'image')
           OR EXISTS (SELECT 1 FROM machine WHERE driver = 'docker') AS found`,
    );
    return rows[0]?.found ?? false;
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

  /** What machines of a revision are made from; null for a revision that is not here, or no more. */
  findFleet({ project, function: name, revision }: RevisionKey): Promise<FleetRow | null> {
    return this.#manager.findOneBy(FleetRow, { project, function: name, revision });
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
      const { id: firstMachine, project, function: name, revision, artifact, settings } = machine;
      await tx.manager.upsert(
        FleetRow,
        { project, function: name, revision, artifact, settings, firstMachine },
        ['project', 'function', 'revision'],
      );
      await this.#note(tx, row);
      return row;
    });
  }

  /** Notes one more machine of a revision, which rests until somebody brings it up. Throws `not-found` when the revision is not here (any more). */
  async beginAnother(id: string, key: RevisionKey, driver: MachineRow['driver']): Promise<MachineRow> {
    return this.database.transaction(async (tx) => {
      await this.#lock(tx, id);
      // Locked, so that whoever removes the revision either waits and finds this machine, or was first.
      await tx.manager.query(
        `INSERT INTO machine (id, project, "function", revision, artifact, settings, driver, state)
         SELECT $1, project, "function", revision, artifact, settings, $5, 'stopped' FROM fleet
         WHERE project = $2 AND "function" = $3 AND revision = $4 FOR SHARE`,
        [id, key.project, key.function, key.revision, driver],
      );
      const row = await tx.manager.findOneBy(MachineRow, { id });
      if (!row) throw new CestxError('not-found', `There is no revision ${key.revision}.`);
      await this.#note(tx, row);
      return row;
    });
  }

  /** No machine of these revisions is made any more. */
  async forgetFleets(
    tx: Transaction,
    { project, function: name }: { project: string; function: string },
    keepRevision: string | null,
  ): Promise<void> {
    await tx.manager.query(
      'DELETE FROM fleet WHERE project = $1 AND "function" = $2 AND revision IS DISTINCT FROM $3',
      [project, name, keepRevision],
    );
  }

  /** It can be called now. Throws `undone` when it was removed in the meantime. */
  async markRunning(
    tx: Transaction,
    machine: MachineRow,
    address: string,
    reason: string | null = null,
  ): Promise<void> {
    const runningSince = machine.state === 'frozen' ? (machine.runningSince ?? new Date()) : new Date();
    const change = { state: 'running', address, retryAt: null, runningSince, reason } as const;
    if (!(await this.#change(tx, machine.id, change))) throw undone(machine.id);
    await this.#putEndpoint(tx, machine, address, 'ready');
  }

  /** It keeps its memory and its address, but cannot be called. False when there is no such machine any more. */
  async markFrozen(tx: Transaction, machine: MachineRow, reason: string): Promise<boolean> {
    const changed = await this.#change(tx, machine.id, { state: 'frozen', retryAt: null, reason });
    if (changed) await tx.delete(endpointsBucket, endpointKey(machine));
    return changed;
  }

  /** It still answers, but no new call is to go there. */
  async markDraining(tx: Transaction, machine: MachineRow): Promise<void> {
    await this.#putAgain(tx, machine.id, 'draining');
  }

  /** It runs as before, whatever callers were told. */
  async markReady(tx: Transaction, machine: MachineRow): Promise<void> {
    await this.#putAgain(tx, machine.id, 'ready');
  }

  /** It cannot be called. False when there is no such machine any more. `retryAt` is null for one that rests until it is called. */
  async markDown(
    tx: Transaction,
    machine: MachineRow,
    change: { state: 'stopped' | 'failed'; restarts: number; retryAt: Date | null; reason: string | null },
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
    tx.afterCommit(() => this.book.leave(id));
  }

  /** The start that brought a revision here is undone: no machine of it is made any more. */
  async forgetFleetOf(tx: Transaction, firstMachine: string): Promise<void> {
    await tx.manager.delete(FleetRow, { firstMachine });
  }

  /** Nothing of it is left but its tombstone. */
  async forget(tx: Transaction, id: string): Promise<void> {
    await this.#lock(tx, id);
    const row = await tx.manager.findOneBy(MachineRow, { id });
    await tx.manager.delete(MachineRow, { id });
    tx.afterCommit(() => this.book.delete(id));
    if (row)
      await this.#tell(tx, { ...row, state: 'removed', address: null, since: new Date(), reason: null });
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
    const row = await tx.manager.findOneBy(MachineRow, { id });
    if (!row) return false;
    const since = row.state === change.state ? row.since : new Date();
    await tx.manager.update(MachineRow, { id }, { ...change, since });
    await this.#note(tx, { ...row, ...change, since });
    return true;
  }

  async #note(tx: Transaction, row: MachineRow): Promise<void> {
    tx.afterCommit(() => this.book.set(row));
    await this.#tell(tx, row);
  }

  async #tell(tx: Transaction, row: MachineRow): Promise<void> {
    await tx.emit(MachineChanged, row.id, describeMachine(row, this.ages.expiresAt(row)));
  }

  async #putAgain(tx: Transaction, id: string, state: Endpoint['state']): Promise<void> {
    await this.#lock(tx, id);
    const row = await tx.manager.findOneBy(MachineRow, { id });
    if (row?.state === 'running' && row.address) await this.#putEndpoint(tx, row, row.address, state);
  }

  async #putEndpoint(
    tx: Transaction,
    machine: MachineRow,
    address: string,
    state: Endpoint['state'],
  ): Promise<void> {
    await tx.put(endpointsBucket, endpointKey(machine), { ...endpointOf(machine, address), state });
  }

  async #lock(tx: Transaction, id: string): Promise<void> {
    await tx.manager.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [id]);
  }

  get #manager(): EntityManager {
    return this.database.dataSource.manager;
  }
}

/** A machine that runs at `address`, as its callers are told of it. */
export function endpointOf({ id, revision, settings }: MachineRow, address: string): Endpoint {
  return { machine: id, revision, address, state: 'ready', concurrency: settings.concurrency };
}

function endpointKey(machine: Pick<MachineRow, 'id' | 'project' | 'function'>): string {
  return `${machine.project}.${machine.function}.${machine.id}`;
}

function undone(id: string): CestxError {
  return new CestxError('undone', `The machine ${id} was removed before it could start.`);
}
