import { describe, expect, test } from 'vitest';

import { planMore, planWake, type WakeableMachine } from './plan-wake.ts';

const now = 1_000_000;
const machine = (id: string, state: WakeableMachine['state'], more: Partial<WakeableMachine> = {}) => ({
  id,
  state,
  retryAt: null,
  lastUse: 0,
  coming: false,
  ...more,
});

describe('waking', () => {
  test('takes the quickest way: one that runs, is frozen, is on its way, is being made, rests, or is made anew', () => {
    const all = [
      machine('stopped', 'stopped'),
      machine('creating', 'creating'),
      machine('coming', 'stopped', { coming: true }),
      machine('frozen', 'frozen'),
      machine('running', 'running'),
    ];
    const plans: unknown[] = [];
    while (all.length > 0) {
      plans.push(planWake(all, now));
      all.pop();
    }
    expect([...plans, planWake([], now)]).toEqual([
      { kind: 'use', id: 'running' },
      { kind: 'thaw', id: 'frozen' },
      { kind: 'join', id: 'coming' },
      { kind: 'wait', id: 'creating' },
      { kind: 'start', id: 'stopped' },
      { kind: 'create' },
    ]);
  });

  test('prefers the machine that was used last', () => {
    for (const state of ['running', 'frozen', 'stopped'] as const)
      expect(
        planWake([machine('a', state, { lastUse: 1 }), machine('b', state, { lastUse: 2 })], now),
      ).toHaveProperty('id', 'b');
  });

  test('never makes another machine while one that keeps ending waits for its next try', () => {
    const failed = machine('f', 'failed', { retryAt: new Date(now + 1) });
    expect(planWake([failed], now)).toEqual({ kind: 'refuse', id: 'f' });
    expect(planWake([failed], now + 1)).toEqual({ kind: 'start', id: 'f' });
  });
});

test('one more machine is none that runs or is on its way', () => {
  const machines = [
    machine('a', 'running'),
    machine('b', 'frozen', { coming: true }),
    machine('c', 'stopped', { coming: true }),
  ];
  expect(planMore(machines, now)).toEqual({ kind: 'create' });
  expect(planMore([...machines, machine('d', 'frozen')], now)).toEqual({ kind: 'thaw', id: 'd' });
});
