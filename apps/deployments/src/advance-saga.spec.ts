import { describe, expect, it } from 'vitest';

import { defaultDelivery, defaultResources, defaultScale } from '#contracts';

import { begin, cancel, commandEnded, isOver, wake, type Dispatch } from './advance-saga.ts';
import { deployFunction } from './deploy-function.saga.ts';
import { removeFunction } from './remove-function.saga.ts';
import { SagaRun } from './saga-run.entity.ts';

const now = new Date('2026-01-01T00:00:00Z');
const later = (ms: number): Date => new Date(now.getTime() + ms);
const failure = { code: 'internal', message: 'it broke' } as const;

function newRun(saga: 'deploy-function' | 'remove-function' = 'deploy-function'): SagaRun {
  return Object.assign(new SagaRun(), {
    id: 'd000001',
    saga,
    sagaVersion: 2,
    project: 'default',
    functionName: 'echo',
    revision: 'echo-v1',
    state: 'pending',
    input: {
      sourceDigest: 'a'.repeat(64),
      previousRevision: null,
      buildIds: ['d0', 'd1'],
      build: { args: {} },
      scale: defaultScale,
      events: { triggers: [], delivery: defaultDelivery },
      settings: {
        env: {},
        resources: defaultResources,
        concurrency: 0,
        timeout: 1000,
        health: { startup: 1000 },
      },
    },
    results: {},
    steps: [],
    position: 0,
    attempt: 1,
    waitingFor: null,
    wakeAt: null,
    error: null,
  });
}

/** Answers every command well except those named, and returns the names of what was sent. */
function play(run: SagaRun, fails: (dispatch: Dispatch) => boolean, limit = 100): string[] {
  const saga = run.saga === 'deploy-function' ? deployFunction : removeFunction;
  const sent: string[] = [];
  let time = now;
  let queue = begin(saga, run, time);
  while (!isOver(run) && sent.length < limit) {
    const dispatch = queue.shift();
    if (!dispatch) {
      time = run.wakeAt ?? time;
      queue = wake(saga, run, time);
      continue;
    }
    sent.push(dispatch.command.name);
    queue = commandEnded(
      saga,
      run,
      dispatch.messageId,
      fails(dispatch) ? { ok: false, failure } : { ok: true },
      time,
    );
  }
  return sent;
}

const forward = [
  'BuildSource',
  'StartMachine',
  'RegisterRoute',
  'SubscribeLogs',
  'SetTriggers',
  'ShiftTraffic',
  'DrainMachines',
];
const backward = [
  'DiscardBuild',
  'RemoveMachine',
  'WithdrawRoute',
  'UnsubscribeLogs',
  'RemoveTriggers',
  'RestoreTraffic',
];

describe('the deploy saga', () => {
  it('runs its steps in order and ends live', () => {
    const run = newRun();
    expect(play(run, () => false)).toEqual(forward);
    expect(run.state).toBe('live');
    expect(run.steps.map((step) => step.state)).toEqual(Array(7).fill('done'));
    expect(run.waitingFor).toBeNull();
    expect(run.wakeAt).toBeNull();
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'undoes step %i, which may have had its effect, and all before it, in reverse',
    (failing) => {
      const run = newRun();
      const sent = play(run, (dispatch) => dispatch.command.name === forward[failing]);
      expect(sent).toEqual([...forward.slice(0, failing + 1), ...backward.slice(0, failing + 1).reverse()]);
      expect(run.state).toBe('failed');
      expect(run.error).toMatchObject({ step: run.steps[failing]?.name, message: 'it broke' });
      expect(run.steps[failing]?.state).toBe('failed');
      expect(run.steps.slice(0, failing).every((step) => step.state === 'undone')).toBe(true);
    },
  );

  it('never undoes what is live: a drain that fails is tried again and then told', () => {
    const run = newRun();
    const sent = play(run, (dispatch) => dispatch.command.name === 'DrainMachines');
    expect(sent.filter((name) => backward.includes(name))).toEqual([]);
    expect(sent.filter((name) => name === 'DrainMachines')).toHaveLength(10);
    expect(run.state).toBe('live');
    expect(run.error?.step).toBe('drain-replaced');
  });

  it('names in each undo the command that must never take effect afterwards', () => {
    const run = newRun();
    const [build] = begin(deployFunction, run, now);
    const [undo] = commandEnded(deployFunction, run, build?.messageId ?? '', { ok: false, failure }, now);
    expect(undo?.undoes).toBe(build?.messageId);
  });

  it('ignores an end it does not wait for, late or twice', () => {
    const run = newRun();
    const [build] = begin(deployFunction, run, now);
    expect(commandEnded(deployFunction, run, 'someone.else', { ok: false, failure }, now)).toEqual([]);
    const [start] = commandEnded(deployFunction, run, build?.messageId ?? '', { ok: true }, now);
    expect(commandEnded(deployFunction, run, build?.messageId ?? '', { ok: true }, now)).toEqual([]);
    expect(run.waitingFor).toBe(start?.messageId);
  });

  it('counts a step without an answer as failed once its time is over, not before', () => {
    const run = newRun();
    begin(deployFunction, run, now);
    expect(wake(deployFunction, run, later(3_599_999))).toEqual([]);
    const [undo] = wake(deployFunction, run, later(3_600_000));
    expect(undo?.command.name).toBe('DiscardBuild');
    expect(run.error?.code).toBe('timed-out');
  });

  it('keeps trying an undo that fails, then goes on with the steps before it', () => {
    const run = newRun();
    const sent = play(
      run,
      ({ command }) => command.name === 'RegisterRoute' || command.name === 'RemoveMachine',
    );
    expect(sent.filter((name) => name === 'RemoveMachine')).toHaveLength(10);
    expect(sent.at(-1)).toBe('DiscardBuild');
    expect(run.state).toBe('failed');
    expect(run.steps[1]?.error?.message).toContain('Could not be undone');
  });
});

describe('a cancelled run', () => {
  it('is undone from the step it is at', () => {
    const run = newRun();
    const [build] = begin(deployFunction, run, now);
    commandEnded(deployFunction, run, build?.messageId ?? '', { ok: true }, now);
    expect(cancel(deployFunction, run, now).map(({ command }) => command.name)).toEqual(['RemoveMachine']);
    expect(run.state).toBe('undoing');
    expect(run.error?.code).toBe('cancelled');
  });

  it('that has not begun does nothing at all', () => {
    const run = newRun();
    expect(cancel(deployFunction, run, now)).toEqual([]);
    expect(run.state).toBe('failed');
  });

  it('is left alone when it is live, or on its way back already', () => {
    const run = newRun();
    play(run, ({ command }) => command.name === 'DrainMachines', forward.length);
    expect(cancel(deployFunction, run, now)).toEqual([]);
    expect(run.state).toBe('running');
    const undoing = newRun();
    const [build] = begin(deployFunction, undoing, now);
    commandEnded(deployFunction, undoing, build?.messageId ?? '', { ok: false, failure }, now);
    const waitingFor = undoing.waitingFor;
    expect(cancel(deployFunction, undoing, now)).toEqual([]);
    expect(undoing.waitingFor).toBe(waitingFor);
  });
});

describe('the remove saga', () => {
  it('only goes forward, and discards every build of the function', () => {
    const run = newRun('remove-function');
    expect(play(run, () => false)).toEqual([
      'WithdrawRoute',
      'RemoveTriggers',
      'DrainMachines',
      'UnsubscribeLogs',
      'DiscardBuild',
      'DiscardBuild',
    ]);
    expect(run.state).toBe('removed');
  });

  it('tells what could not be removed instead of saying it was', () => {
    const run = newRun('remove-function');
    play(run, ({ command }) => command.name === 'DrainMachines', 200);
    expect(run.state).toBe('failed');
    expect(run.error?.step).toBe('drain-machines');
  });
});
