import { CestxError, type Failure } from '#contracts';

import type { RunError, RunStep, SagaRun } from './saga-run.entity.ts';
import type { Order, Saga, SagaStep } from './saga.ts';

/** What has to leave with the run's new state. */
export interface Dispatch extends Order {
  messageId: string;
  undoes?: string;
  expiresAt?: Date;
}

/** Tries of a step that can only go forward, or of an undo, before the run goes on without it. */
const maxAttempts = 10;

/*
 * Invariants
 * 1. A run waits for exactly one command, or pauses until `wakeAt`, or is over.
 * 2. An end that is not the awaited one changes nothing: it is late, or it came twice.
 * 3. Undo starts with the step that failed, for it may have had its effect, and goes backwards.
 * 4. From the pivot on nothing is undone; a step that fails there is tried again.
 */

/** Starts a pending run. Changes `run` in place and returns what to send. */
export function begin(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  run.state = 'running';
  run.position = 0;
  run.steps = saga
    .steps(run)
    .map((step) => ({ name: step.name, state: 'pending', startedAt: null, ms: null, error: null }));
  return startStep(saga, run, now);
}

/** The awaited command ended. */
export function commandEnded(
  saga: Saga,
  run: SagaRun,
  commandId: string,
  result: { ok: true } | { ok: false; failure: Failure },
  now: Date,
): Dispatch[] {
  if (run.waitingFor !== commandId) return [];
  if (run.state === 'undoing')
    return result.ok ? stepUndone(saga, run, now) : undoFailed(saga, run, result.failure, now);
  return result.ok ? stepDone(saga, run, now) : stepFailed(saga, run, result.failure, now);
}

/** `wakeAt` has come: a step took too long, or a pause is over. */
export function wake(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  if (!run.wakeAt || run.wakeAt > now) return [];
  if (run.waitingFor === null)
    return run.state === 'undoing' ? startUndo(saga, run, now) : startStep(saga, run, now);
  const step = stepAt(saga, run);
  const failure: Failure = {
    code: 'timed-out',
    message: `${step.name} did not end within ${Math.round(step.timeout / 1000)} s.`,
  };
  return run.state === 'undoing' ? undoFailed(saga, run, failure, now) : stepFailed(saga, run, failure, now);
}

/** Somebody wants it no more. What is live, or on its way back already, is left alone. */
export function cancel(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  const failure: Failure = { code: 'cancelled', message: 'The deployment was cancelled.' };
  if (run.state === 'pending') {
    run.error = { step: 'waiting', code: failure.code, message: failure.message, lastLines: [] };
    return end(run, 'failed');
  }
  return run.state === 'running' && !isBehindPivot(saga, run) ? stepFailed(saga, run, failure, now) : [];
}

export function isOver(run: SagaRun): boolean {
  return run.state === 'live' || run.state === 'removed' || run.state === 'failed';
}

function startStep(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  const step = stepAt(saga, run);
  const record = recordAt(run);
  record.state = 'running';
  record.startedAt ??= now.toISOString();
  const messageId = commandId(run, step, 'do', run.attempt);
  const expiresAt = new Date(now.getTime() + step.timeout);
  waitFor(run, messageId, expiresAt);
  return [{ ...step.do, messageId, expiresAt }];
}

function stepDone(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  endRecord(recordAt(run), 'done', now);
  run.attempt = 1;
  run.position += 1;
  if (run.position < run.steps.length) return startStep(saga, run, now);
  return finish(saga, run);
}

function stepFailed(saga: Saga, run: SagaRun, failure: Failure, now: Date): Dispatch[] {
  const error = errorOf(recordAt(run), failure);
  if (isBehindPivot(saga, run)) {
    if (run.attempt < maxAttempts) return pause(run, now);
    endRecord(recordAt(run), 'failed', now, error);
    run.error ??= error;
    run.attempt = 1;
    run.position += 1;
    if (run.position < run.steps.length) return startStep(saga, run, now);
    return finish(saga, run);
  }
  endRecord(recordAt(run), 'failed', now, error);
  run.error = error;
  run.state = 'undoing';
  run.attempt = 1;
  return startUndo(saga, run, now);
}

function startUndo(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  for (; run.position >= 0; run.position -= 1) {
    const step = stepAt(saga, run);
    if (!step.undo) continue;
    const record = recordAt(run);
    if (record.state !== 'failed') record.state = 'undoing';
    const messageId = commandId(run, step, 'undo', run.attempt);
    waitFor(run, messageId, new Date(now.getTime() + step.timeout));
    return [{ ...step.undo, messageId, undoes: commandId(run, step, 'do', 1) }];
  }
  run.position = 0;
  return end(run, 'failed');
}

function stepUndone(saga: Saga, run: SagaRun, now: Date): Dispatch[] {
  const record = recordAt(run);
  if (record.state !== 'failed') record.state = 'undone';
  run.attempt = 1;
  run.position -= 1;
  return startUndo(saga, run, now);
}

/** An undo that keeps failing is told, and the steps before it are still undone. */
function undoFailed(saga: Saga, run: SagaRun, failure: Failure, now: Date): Dispatch[] {
  if (run.attempt < maxAttempts) return pause(run, now);
  const record = recordAt(run);
  endRecord(record, 'failed', now, {
    ...errorOf(record, failure),
    message: `Could not be undone: ${failure.message}`,
  });
  run.attempt = 1;
  run.position -= 1;
  return startUndo(saga, run, now);
}

function pause(run: SagaRun, now: Date): Dispatch[] {
  const delay = Math.min(30_000, 500 * 2 ** (run.attempt - 1));
  run.attempt += 1;
  run.waitingFor = null;
  run.wakeAt = new Date(now.getTime() + delay);
  return [];
}

/** A function with a step behind the pivot that failed is live all the same; a removal that left something is not one. */
function finish(saga: Saga, run: SagaRun): Dispatch[] {
  run.position = run.steps.length - 1;
  return end(run, saga.success === 'removed' && run.error ? 'failed' : saga.success);
}

function end(run: SagaRun, state: 'live' | 'removed' | 'failed'): Dispatch[] {
  run.state = state;
  run.waitingFor = null;
  run.wakeAt = null;
  return [];
}

function isBehindPivot(saga: Saga, run: SagaRun): boolean {
  const pivot = saga.steps(run).findIndex((step) => step.pivot);
  // The pivot itself can still be undone when it has an undo.
  return pivot >= 0 && (run.position > pivot || (run.position === pivot && !stepAt(saga, run).undo));
}

function waitFor(run: SagaRun, messageId: string, until: Date): void {
  run.waitingFor = messageId;
  run.wakeAt = until;
}

function commandId(run: SagaRun, step: SagaStep, way: 'do' | 'undo', attempt: number): string {
  return `${run.id}.${step.name}.${way}.${attempt}`;
}

function stepAt(saga: Saga, run: SagaRun): SagaStep {
  const step = saga.steps(run)[run.position];
  if (!step) throw new CestxError('internal', `Saga ${saga.name} has no step ${run.position}.`);
  return step;
}

function recordAt(run: SagaRun): RunStep {
  const record = run.steps[run.position];
  if (!record) throw new CestxError('internal', `Run ${run.id} has no step ${run.position}.`);
  return record;
}

function endRecord(record: RunStep, state: RunStep['state'], now: Date, error: RunError | null = null): void {
  record.state = state;
  record.ms = record.startedAt ? now.getTime() - Date.parse(record.startedAt) : null;
  record.error = error;
}

function errorOf(record: RunStep, failure: Failure): RunError {
  return {
    step: record.name,
    code: failure.code,
    message: failure.message,
    lastLines: failure.lastLines ?? [],
  };
}
