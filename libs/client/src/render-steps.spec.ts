import { expect, test } from 'vitest';

import type { Deployment } from '#contracts';

import { endedSteps, renderFailure, renderRunningStep, renderStep } from './render-steps.ts';
import { DeploymentProgress } from './render-progress.ts';
import type { Style } from './render-style.ts';

const plain: Style = { colour: false, unicode: false, width: 80 };
type Step = Deployment['steps'][number];

function step(name: string, state: Step['state'], ms: number | null = null): Step {
  return { name, state, startedAt: null, ms, error: null };
}

function deployment(...steps: Step[]): Deployment {
  return {
    id: 'd1',
    project: 'default',
    kind: 'deploy',
    function: 'echo',
    revision: 'echo-v1',
    state: 'running',
    steps,
    error: null,
    url: null,
    traceId: null,
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

test('an ended step shows its sign, name and time', () => {
  expect(renderStep(step('build-source', 'done', 1250), plain)).toBe('  + build-source       1.25 s');
  expect(renderStep(step('make-live', 'failed', 12), { ...plain, unicode: true })).toBe(
    '  ✗ make-live           12 ms',
  );
});

test('a running step turns its spinner with the frame', () => {
  const frames = [0, 1, 2, 3].map((frame) => renderRunningStep('make-live', 5, frame, plain).trimStart()[0]);
  expect(new Set(frames).size).toBe(4);
});

test('each step is told once when it ends, and undone steps in the order they were undone', () => {
  const first = deployment(step('a', 'done', 1), step('b', 'running'));
  const second = deployment(step('a', 'done', 1), step('b', 'done', 2), step('c', 'failed', 3));
  const third = deployment(step('a', 'undone', 1), step('b', 'undone', 2), step('c', 'failed', 3));
  expect(endedSteps(null, first).map((ended) => ended.name)).toEqual(['a']);
  expect(endedSteps(first, second).map((ended) => ended.name)).toEqual(['b', 'c']);
  expect(endedSteps(second, third).map((ended) => ended.name)).toEqual(['b', 'a']);
  expect(endedSteps(third, third)).toEqual([]);
});

test('a failure shows step, reason, last lines without terminal control, and what to do', () => {
  const text = renderFailure(
    { step: 'start-machine', code: 'start-failed', message: 'It exited.', lastLines: ['boom \u001b[31m'] },
    'Read the log.',
    plain,
  );
  expect(text).toBe('start-machine failed: It exited. (start-failed)\n\n  | boom [31m\n\nRead the log.');
});

test('away from a terminal progress is one plain line a step, each told once', () => {
  const written: string[] = [];
  const progress = new DeploymentProgress({ write: (text) => written.push(text), style: plain, live: false });
  progress.show(deployment(step('a', 'running'), step('b', 'pending')));
  progress.show(deployment(step('a', 'done', 4), step('b', 'running')));
  progress.note('a build line');
  progress.show(deployment(step('a', 'done', 4), step('b', 'done', 5)));
  progress.end();
  expect(written).toEqual([
    '  + a                  4.0 ms\n',
    'a build line\n',
    '  + b                  5.0 ms\n',
  ]);
});

test('on a terminal the step under way is one line that is drawn again', () => {
  const written: string[] = [];
  const progress = new DeploymentProgress({ write: (text) => written.push(text), style: plain, live: true });
  progress.show(deployment(step('a', 'running')));
  progress.end();
  expect(written.join('')).toMatch(/^\r\u001b\[K {2}\| a +[0-9.]+ ms\r\u001b\[K$/);
});
