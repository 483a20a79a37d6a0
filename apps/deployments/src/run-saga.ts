import { Injectable } from '@nestjs/common';
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';

import {
  applyScaleChange,
  asCestxError,
  BuildSource,
  CestxError,
  RegisterRoute,
  type PayloadOf,
  type Settings,
} from '#contracts';
import type { CommandEnd } from '#messaging';
import { traceHeaders, withRoom, type Transaction } from '#storage';

import { begin, cancel, commandEnded, isOver, wake, type Dispatch } from './advance-saga.ts';
import { changeScale } from './change-scale.saga.ts';
import { deployFunction } from './deploy-function.saga.ts';
import { DeploymentStore } from './deployment.store.ts';
import type { FunctionRow } from './function.entity.ts';
import { removeFunction } from './remove-function.saga.ts';
import { SagaRun, type RunInput } from './saga-run.entity.ts';
import type { Saga } from './saga.ts';

/** Every version that a run may still be on. */
const sagas = [deployFunction, removeFunction, changeScale];
/** The version a new run begins on. */
const current = {
  'deploy-function': deployFunction,
  'remove-function': removeFunction,
  'change-scale': changeScale,
} as const satisfies Record<string, Saga>;

/** Moves runs under the lock of their function: what a run decides, sends and stores is one transaction. */
@Injectable()
export class SagaRunner {
  readonly #store: DeploymentStore;

  constructor(store: DeploymentStore) {
    this.#store = store;
  }

  /** Puts a new run in its function's line and starts it when nothing is before it. */
  async enqueue(
    tx: Transaction,
    saga: keyof typeof current,
    order: { id: string; project: string; functionName: string; input: RunInput },
  ): Promise<void> {
    const row = await this.#store.ensureFunction(tx, order.project, order.functionName, order.id);
    const run = new SagaRun();
    Object.assign(run, {
      id: order.id,
      saga,
      sagaVersion: current[saga].version,
      project: order.project,
      functionName: order.functionName,
      revision: null,
      state: 'pending',
      input: order.input,
      results: {},
      steps: [],
      position: 0,
      attempt: 1,
      waitingFor: null,
      wakeAt: null,
      error: null,
      traceHeaders: traceHeaders(),
    } satisfies Partial<SagaRun>);
    await this.#store.addRun(tx, run);
    row.lastRun = run.id;
    if (row.activeRun) {
      await this.#store.saveRun(tx, run, []);
      await this.#store.saveFunction(tx, row);
    } else {
      await this.#start(tx, row, run);
    }
  }

  async commandEnded(tx: Transaction, runId: string, end: CommandEnd): Promise<void> {
    await this.#move(tx, runId, (saga, run, row) => {
      const step = run.steps[run.position];
      const dispatches = (): Dispatch[] => commandEnded(saga, run, end.commandId, end.result, new Date());
      if (run.waitingFor !== end.commandId) return dispatches();
      if (end.result.ok) keepResult(run, row, end.command.name, end.result.payload);
      const result = dispatches();
      if (step) traceStep(run, step);
      return result;
    });
  }

  async wake(tx: Transaction, runId: string): Promise<void> {
    await this.#move(tx, runId, (saga, run) => wake(saga, run, new Date()));
  }

  async cancel(tx: Transaction, runId: string): Promise<void> {
    await this.#move(tx, runId, (saga, run) => cancel(saga, run, new Date()));
  }

  async #move(
    tx: Transaction,
    runId: string,
    decide: (saga: Saga, run: SagaRun, row: FunctionRow) => Dispatch[],
  ): Promise<void> {
    const found = await this.#store.lockRun(tx, runId);
    if (!found || isOver(found.run)) return;
    const { run, row } = found;
    const host = row.host;
    const dispatches = decide(sagaOf(run), run, row);
    await this.#store.saveRun(tx, run, dispatches);
    if (isOver(run)) await this.#finish(tx, row, run);
    else if (row.host !== host) await this.#store.saveFunction(tx, row);
  }

  async #start(tx: Transaction, row: FunctionRow, run: SagaRun): Promise<void> {
    row.activeRun = run.id;
    if (run.saga === 'deploy-function') {
      run.revision = `${row.name}-v${row.nextVersion}`;
      row.nextVersion += 1;
      const previousCalls = await this.#store.liveCalls(tx, row);
      run.input = {
        ...run.input,
        previousRevision: row.liveRevision,
        previousCalls,
        previousEvents: row.liveRevision === null ? null : row.events,
      };
    } else if (run.saga === 'change-scale') {
      const previousCalls = await this.#store.liveCalls(tx, row);
      run.revision = row.liveRevision;
      if (!previousCalls) {
        return this.#refuse(tx, row, run, new CestxError('not-found', `${row.name} is not there any more.`));
      }
      try {
        const scale = applyScaleChange(previousCalls.scale, run.input.change ?? {});
        run.input = { ...run.input, previousCalls, scale };
      } catch (error) {
        return this.#refuse(tx, row, run, asCestxError(error));
      }
    } else {
      run.input = { ...run.input, buildIds: await this.#store.buildIdsOf(tx, row.project, row.name) };
    }
    const dispatches = begin(sagaOf(run), run, new Date());
    await this.#store.saveRun(tx, run, dispatches);
    await this.#store.saveFunction(tx, row);
  }

  /** While it waited in line something happened after which it makes no sense. */
  async #refuse(tx: Transaction, row: FunctionRow, run: SagaRun, error: CestxError): Promise<void> {
    run.state = 'failed';
    run.error = { step: 'waiting', code: error.code, message: error.message, lastLines: [] };
    await this.#store.saveRun(tx, run, []);
    await this.#finish(tx, row, run);
  }

  async #finish(tx: Transaction, row: FunctionRow, run: SagaRun): Promise<void> {
    // A run that was cancelled in the line leaves the one under way alone.
    if (row.activeRun !== run.id) return;
    row.activeRun = null;
    if (run.state === 'live') {
      if (run.saga === 'deploy-function') await this.#store.makeLive(tx, run);
      row.liveRevision = run.revision;
      row.template = run.results.template ?? row.template;
      row.scale = run.input.scale ?? row.scale;
      row.events = run.input.events ?? row.events;
    }
    if (run.state === 'removed') {
      row.liveRevision = null;
      row.host = null;
    }
    const next = await this.#store.nextPending(tx, row.project, row.name);
    if (next) return this.#start(tx, row, next);
    // A function that never got live, or is removed, leaves nothing behind but the record of its deployments.
    if (row.liveRevision === null) return this.#store.deleteFunction(tx, row);
    await this.#store.saveFunction(tx, row);
  }
}

function sagaOf(run: SagaRun): Saga {
  const saga = sagas.find((one) => one.name === run.saga && one.version === run.sagaVersion);
  if (!saga)
    throw new CestxError('internal', `Saga ${run.saga} version ${run.sagaVersion} is not known here.`);
  return saga;
}

/** What later steps and the record need of a step's answer. */
function keepResult(run: SagaRun, row: FunctionRow, command: string, payload: unknown): void {
  if (command === BuildSource.name) {
    const built = payload as PayloadOf<typeof BuildSource.done>;
    const { template, templateVersion, artifact, health } = built;
    run.results = { ...run.results, template, artifact, ...(templateVersion ? { templateVersion } : {}) };
    const { settings } = run.input;
    if (health && settings)
      run.input = { ...run.input, settings: { ...settings, health: withDefaults(settings.health, health) } };
  }
  if (command === RegisterRoute.name) {
    const { host } = payload as PayloadOf<typeof RegisterRoute.done>;
    run.results = { ...run.results, host };
    row.host = host;
  }
}

/** What a template says counts where the function says nothing; of two times to start the longer one. */
function withDefaults(
  health: Settings['health'],
  { path, startup = 0 }: { path?: string | undefined; startup?: number | undefined },
): Settings['health'] {
  return { ...(path === undefined ? {} : { path }), ...health, startup: Math.max(health.startup, startup) };
}

/** A span for the whole step, from its start to its end, however many processes it went through. */
function traceStep(run: SagaRun, step: SagaRun['steps'][number]): void {
  if (!step.startedAt || step.ms === null) return;
  const parent = withRoom(propagation.extract(ROOT_CONTEXT, run.traceHeaders), 'deployments');
  const start = Date.parse(step.startedAt);
  context.with(parent, () => {
    const span = trace.getTracer('cestx').startSpan(`step ${step.name}`, {
      startTime: start,
      attributes: {
        'cestx.saga': run.saga,
        'cestx.step': step.name,
        'cestx.deployment': run.id,
        'cestx.outcome': step.state,
      },
    });
    span.end(start + (step.ms ?? 0));
  });
}
