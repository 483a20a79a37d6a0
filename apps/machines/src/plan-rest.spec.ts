import { expect, test } from 'vitest';

import { planRest, type RestingMachine } from './plan-rest.ts';

const tiers = { freezeAfter: 10, stopAfter: 100, removeAfter: 1000 };
const machine = (id: string, state: RestingMachine['state'], idle: number): RestingMachine => ({
  id,
  state,
  idle,
});

test('each tier is reached by the time since the last call, one after the other', () => {
  const to = (state: RestingMachine['state'], idle: number) =>
    planRest([machine('m', state, idle)], tiers, 0)[0]?.to ?? null;
  expect([to('running', 9), to('running', 10), to('frozen', 99), to('frozen', 100)]).toEqual([
    null,
    'frozen',
    null,
    'stopped',
  ]);
  expect([to('stopped', 999), to('stopped', 1000), to('failed', 1000), to('creating', 9999)]).toEqual([
    null,
    'removed',
    'removed',
    null,
  ]);
});

test('a function that is to be stopped sooner than frozen is never frozen', () => {
  expect(planRest([machine('m', 'running', 100)], { ...tiers, freezeAfter: 5000 }, 0)).toEqual([
    { id: 'm', from: 'running', to: 'stopped' },
  ]);
});

test('as many stay up as are wanted, those used last, however long they had no call', () => {
  const machines = [
    machine('a', 'running', 500),
    machine('b', 'running', 30),
    machine('c', 'running', 700),
    machine('d', 'running', 5),
  ];
  expect(planRest(machines, tiers, 2).map(({ id }) => id)).toEqual(['a', 'c']);
  expect(planRest(machines, tiers, 0).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  expect(planRest(machines, tiers, Infinity)).toEqual([]);
});
