import { Injectable } from '@nestjs/common';
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { In, LessThanOrEqual, MoreThan } from 'typeorm';

import {
  CestxError,
  defaultScale,
  DeploymentChanged,
  type Deployment,
  type FunctionRecord,
} from '#contracts';
import { Database, type Transaction } from '#storage';

import { FunctionRow, RevisionRow } from './function.entity.ts';
import { SagaRun, type RunInput } from './saga-run.entity.ts';
import type { Dispatch } from './advance-saga.ts';

/** All that the deployments room keeps: functions, revisions and runs. */
@Injectable()
export class DeploymentStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#database.transaction(work);
  }

  /** The function's row, made when missing, locked until the transaction ends: one run of a function moves at a time. */
  async ensureFunction(tx: Transaction, project: string, name: string, runId: string): Promise<FunctionRow> {
    await tx.manager
      .createQueryBuilder()
      .insert()
      .into(FunctionRow)
      .values({
        project,
        name,
        nextVersion: 1,
        lastRun: runId,
        liveRevision: null,
        activeRun: null,
        host: null,
        template: null,
        scale: null,
        events: null,
      })
      .orIgnore()
      .execute();
    const row = await tx.manager.findOne(FunctionRow, {
      where: { project, name },
      lock: { mode: 'pessimistic_write' },
    });
    if (!row)
      throw new CestxError('internal', 'A function vanished while it was locked.', { retryable: true });
    return row;
  }

  async saveFunction(tx: Transaction, row: FunctionRow): Promise<void> {
    await tx.manager.save(row);
  }

  async deleteFunction(tx: Transaction, row: FunctionRow): Promise<void> {
    await tx.manager.delete(RevisionRow, { project: row.project, functionName: row.name });
    await tx.manager.remove(row);
  }

  async addRun(tx: Transaction, run: SagaRun): Promise<void> {
    await tx.manager.insert(SagaRun, run);
  }

  /**
   * A run and the row of its function, both locked and as they are once we have the lock; null when either is gone.
   * By hand, because every step of every saga waits for this one query.
   */
  async lockRun(tx: Transaction, runId: string): Promise<{ run: SagaRun; row: FunctionRow } | null> {
    const rows = await tx.query<{ run: object; row: object }>(
      `SELECT to_jsonb(r) AS run, to_jsonb(f) AS row
       FROM saga_run r JOIN function f ON f.project = r.project AND f.name = r.function
       WHERE r.id = $1 FOR UPDATE OF f, r`,
      [runId],
    );
    const found = rows[0];
    return found
      ? { run: fromJson(tx, SagaRun, found.run), row: fromJson(tx, FunctionRow, found.row) }
      : null;
  }

  async nextPending(tx: Transaction, project: string, functionName: string): Promise<SagaRun | null> {
    return tx.manager.findOne(SagaRun, {
      where: { project, functionName, state: 'pending' },
      order: { sequence: 'ASC' },
    });
  }

  /** Stores the run, sends its commands in the run's own trace, and tells whoever watches. */
  async saveRun(tx: Transaction, run: SagaRun, dispatches: Dispatch[]): Promise<void> {
    void tx.query(
      `UPDATE saga_run SET revision = $2, state = $3, input = $4, results = $5, steps = $6, position = $7, attempt = $8,
         waiting_for = $9, wake_at = $10, error = $11, version = version + 1 WHERE id = $1`,
      [
        run.id,
        run.revision,
        run.state,
        JSON.stringify(run.input),
        JSON.stringify(run.results),
        JSON.stringify(run.steps),
        run.position,
        run.attempt,
        run.waitingFor,
        run.wakeAt,
        run.error && JSON.stringify(run.error),
      ],
    );
    const runContext = propagation.extract(ROOT_CONTEXT, run.traceHeaders);
    await context.with(runContext, async () => {
      for (const dispatch of dispatches) {
        await tx.send(dispatch.command, dispatch.id, dispatch.payload, {
          messageId: dispatch.messageId,
          correlation: run.id,
          ...(dispatch.undoes ? { undoes: dispatch.undoes } : {}),
          ...(dispatch.expiresAt ? { expiresAt: dispatch.expiresAt } : {}),
        });
      }
      await tx.emit(DeploymentChanged, run.id, toDeployment(run));
    });
  }

  async makeLive(tx: Transaction, run: SagaRun): Promise<void> {
    const { sourceDigest, settings } = run.input;
    const { artifact, template, templateVersion = null } = run.results;
    if (!run.revision || !sourceDigest || !settings || !artifact || !template) {
      throw new CestxError('internal', `Deployment ${run.id} ended without its revision.`);
    }
    await tx.manager.update(
      RevisionRow,
      { project: run.project, functionName: run.functionName },
      { state: 'retired' },
    );
    await tx.manager.save(RevisionRow, {
      project: run.project,
      functionName: run.functionName,
      revision: run.revision,
      runId: run.id,
      sourceDigest,
      template,
      templateVersion,
      artifact,
      settings,
      state: 'live',
    });
  }

  /** How calls of the live revision are treated. */
  async liveCalls(tx: Transaction, row: FunctionRow): Promise<RunInput['previousCalls']> {
    const { project, liveRevision: revision } = row;
    if (revision === null) return undefined;
    const live = await tx.manager.findOneBy(RevisionRow, { project, revision });
    if (!live) return undefined;
    const { timeout, concurrency } = live.settings;
    return { timeout, concurrency, scale: row.scale ?? defaultScale };
  }

  async buildIdsOf(tx: Transaction, project: string, functionName: string): Promise<string[]> {
    const rows = await tx.manager.find(RevisionRow, {
      where: { project, functionName },
      order: { createdAt: 'ASC' },
    });
    return rows.map((row) => row.runId);
  }

  /** Runs whose time has come, oldest first. */
  async due(now: Date): Promise<SagaRun[]> {
    return this.#database.dataSource.manager.find(SagaRun, {
      where: { wakeAt: LessThanOrEqual(now) },
      order: { wakeAt: 'ASC' },
      take: 50,
    });
  }

  async deployment(id: string): Promise<Deployment | null> {
    const { manager } = this.#database.dataSource;
    const run = await manager.findOneBy(SagaRun, { id });
    if (!run) return null;
    return toDeployment(run);
  }

  async function(project: string, name: string): Promise<FunctionRecord | null> {
    const row = await this.#database.dataSource.manager.findOneBy(FunctionRow, { project, name });
    return row ? ((await this.#toRecords([row]))[0] ?? null) : null;
  }

  async functions(project: string, limit: number, after: string | undefined): Promise<FunctionRecord[]> {
    const rows = await this.#database.dataSource.manager.find(FunctionRow, {
      where: { project, ...(after ? { name: MoreThan(after) } : {}) },
      order: { name: 'ASC' },
      take: limit,
    });
    return this.#toRecords(rows);
  }

  async revisions(
    project: string,
    functionName: string,
    limit: number,
    offset: number,
  ): Promise<RevisionRow[]> {
    return this.#database.dataSource.manager.find(RevisionRow, {
      where: { project, functionName },
      order: { createdAt: 'DESC' },
      skip: offset,
      take: limit,
    });
  }

  async #toRecords(rows: FunctionRow[]): Promise<FunctionRecord[]> {
    const runs = await this.#database.dataSource.manager.findBy(SagaRun, {
      id: In(rows.map((row) => row.lastRun)),
    });
    return rows.map((row) => {
      const run = runs.find((one) => one.id === row.lastRun);
      return {
        project: row.project,
        name: row.name,
        revision: row.liveRevision,
        url: row.liveRevision ? urlOf(row.host) : null,
        state: run?.saga === 'remove-function' ? 'removing' : row.liveRevision ? 'live' : 'deploying',
        template: row.template,
        scale: row.scale,
        createdAt: row.createdAt.toISOString(),
        updatedAt: row.updatedAt.toISOString(),
        lastDeploymentId: row.lastRun,
      };
    });
  }
}

/** An entity out of the JSON that PostgreSQL makes of its row. */
function fromJson<E extends object>(tx: Transaction, entity: new () => E, json: object): E {
  const values = new Map(Object.entries(json));
  const made = new entity();
  for (const column of tx.manager.connection.getMetadata(entity).columns) {
    const value: unknown = values.get(column.databaseName);
    column.setEntityValue(
      made,
      column.type === 'timestamptz' && typeof value === 'string' ? new Date(value) : value,
    );
  }
  return made;
}

const kinds: Record<string, Deployment['kind']> = { 'remove-function': 'remove', 'change-scale': 'scale' };

/** The room does not know on which port the gateway listens; the gateway completes the address. */
function urlOf(host: string | null): string | null {
  return host ? `http://${host}` : null;
}

function toDeployment(run: SagaRun): Deployment {
  return {
    id: run.id,
    project: run.project,
    kind: kinds[run.saga] ?? 'deploy',
    function: run.functionName,
    revision: run.revision,
    state: run.state,
    steps: run.steps,
    error: run.error,
    url: urlOf(run.results.host ?? null),
    traceId: trace.getSpanContext(propagation.extract(ROOT_CONTEXT, run.traceHeaders))?.traceId ?? null,
    createdAt: (run.createdAt ?? new Date()).toISOString(),
  };
}
