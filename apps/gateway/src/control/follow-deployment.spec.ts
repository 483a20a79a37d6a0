import { describe, expect, it } from 'vitest';

import { CestxError, type Deployment } from '#contracts';

import { followDeployment } from './follow-deployment.ts';

type Source = Parameters<typeof followDeployment>[0];

function deployment(
  state: Deployment['state'],
  ...steps: Deployment['steps'][number]['state'][]
): Deployment {
  return {
    id: 'd1',
    project: 'default',
    kind: 'deploy',
    function: 'a',
    revision: null,
    state,
    steps: steps.map((step, index) => ({
      name: `s${index}`,
      state: step,
      startedAt: null,
      ms: null,
      error: null,
    })),
    error: null,
    url: null,
    traceId: null,
    createdAt: '2026-01-01T00:00:00Z',
  };
}

/** A platform whose present state and live events the test sets. */
function source(answers: (() => Deployment)[]) {
  let listener: (payload: Deployment) => void = () => undefined;
  let stopped = false;
  const messenger = {
    ask: async () => (answers.length > 1 ? answers.shift() : answers[0])?.(),
    subscribe: (_event: unknown, _id: string, given: typeof listener) => {
      listener = given;
      return () => (stopped = true);
    },
  } as unknown as Source;
  return { messenger, say: (one: Deployment) => listener(one), isStopped: () => stopped };
}

const beat = async () => undefined;

describe('following a deployment', () => {
  it('tells each change once and in order, and ends after the last state', async () => {
    const first = deployment('running', 'running', 'pending');
    const { messenger, say, isStopped } = source([() => first]);
    const told: string[] = [];
    for await (const one of followDeployment(messenger, first, new AbortController().signal, beat)) {
      told.push(`${one.state} ${one.steps.map((step) => step.state).join()}`);
      if (told.length === 1) {
        say(deployment('pending', 'pending', 'pending'));
        say(deployment('running', 'done', 'pending'));
        say(deployment('running', 'done', 'pending'));
        say(deployment('running', 'done', 'running'));
        say(deployment('live', 'done', 'done'));
      }
    }
    expect(told).toEqual([
      'running running,pending',
      'running done,pending',
      'running done,running',
      'live done,done',
    ]);
    expect(isStopped()).toBe(true);
  });

  it('hears of an end whose event was missed, also when the room was away for a while', async () => {
    const first = deployment('running', 'running');
    const away = () => {
      throw new CestxError('unavailable', 'away');
    };
    const { messenger, say } = source([away, () => deployment('failed', 'failed')]);
    const told: string[] = [];
    // A stale event stands for the time that passes before the state is read again.
    setTimeout(() => say(first), 20);
    for await (const one of followDeployment(messenger, first, new AbortController().signal, beat))
      told.push(one.state);
    expect(told).toEqual(['running', 'failed']);
  });

  it('ends when the reader goes away', async () => {
    const first = deployment('running', 'running');
    const { messenger, isStopped } = source([() => first]);
    const gone = new AbortController();
    setTimeout(() => gone.abort(), 20);
    for await (const one of followDeployment(messenger, first, gone.signal, beat)) expect(one).toBe(first);
    expect(isStopped()).toBe(true);
  });
});
