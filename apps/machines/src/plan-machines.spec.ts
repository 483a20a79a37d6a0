import { describe, expect, test } from 'vitest';

import type { SeenMachine } from './machine.driver.ts';
import { backoffAfter, countExits, planMachines, type WantedMachine } from './plan-machines.ts';

const now = 1_000_000;
const wanted = (more: Partial<WantedMachine> = {}): WantedMachine => ({
  id: 'm',
  state: 'running',
  address: '10.0.0.2:8080',
  retryAt: null,
  removed: false,
  ...more,
});
const seen = (more: Partial<SeenMachine> = {}): SeenMachine => ({
  id: 'm',
  state: 'running',
  address: '10.0.0.2:8080',
  exit: null,
  ...more,
});
const exit = { code: 1, reason: 'exited with code 1', portTaken: false, withPlatform: false };

test('what is as it should be is left alone, and its lines are read', () => {
  expect(planMachines([wanted()], [seen()], now)).toEqual([{ kind: 'follow', id: 'm' }]);
});

test('a machine that exited is noted with its reason before it is started again', () => {
  const gone = seen({ state: 'exited', address: null, exit });
  expect(planMachines([wanted()], [gone], now)).toEqual([{ kind: 'note-exit', id: 'm', exit }]);
  const failed = wanted({ state: 'failed', retryAt: new Date(now) });
  expect(planMachines([failed], [gone], now)).toEqual([{ kind: 'start', id: 'm' }]);
});

test('a machine that vanished altogether comes back', () => {
  expect(planMachines([wanted()], [], now)).toEqual([{ kind: 'note-exit', id: 'm', exit: null }]);
  const failed = wanted({ state: 'failed', retryAt: new Date(now) });
  expect(planMachines([failed], [], now)).toEqual([{ kind: 'start', id: 'm' }]);
});

test('machines that the platform itself stopped may come back after its restart, those that rest do not', () => {
  expect(planMachines([wanted({ state: 'stopped' })], [seen({ state: 'exited' })], now)).toEqual([]);
  const stopped = wanted({ state: 'stopped', retryAt: new Date(now) });
  expect(planMachines([stopped], [seen({ state: 'exited' })], now)).toEqual([{ kind: 'start', id: 'm' }]);
});

test('a machine in a crash loop waits for its time', () => {
  const early = wanted({ state: 'failed', retryAt: new Date(now + 1) });
  expect(planMachines([early], [], now)).toEqual([]);
  expect(planMachines([early], [], now + 1)).toEqual([{ kind: 'start', id: 'm' }]);
  const clockSetBack = now - 3_600_000;
  expect(planMachines([early], [], clockSetBack)).toEqual([{ kind: 'start', id: 'm' }]);
});

test('a stranger of our house goes', () => {
  expect(planMachines([], [seen({ state: 'created' })], now)).toEqual([{ kind: 'remove', id: 'm' }]);
});

test('a removal that was cut off is ended, whether or not anything is left', () => {
  expect(planMachines([wanted({ removed: true })], [seen()], now)).toEqual([{ kind: 'remove', id: 'm' }]);
  expect(planMachines([wanted({ removed: true, state: 'failed' })], [], now)).toEqual([
    { kind: 'remove', id: 'm' },
  ]);
});

test('a start that is under way, or was cut off, belongs to its command', () => {
  for (const state of ['creating', 'starting'] as const)
    for (const there of [[], [seen({ state: 'created' })], [seen()]])
      expect(planMachines([wanted({ state })], there, now)).toEqual([]);
});

test('callers are told when a machine runs at another address', () => {
  expect(planMachines([wanted()], [seen({ address: '10.0.0.9:8080' })], now)).toEqual([
    { kind: 'move', id: 'm', address: '10.0.0.9:8080' },
  ]);
});

test('a machine found frozen is thawed', () => {
  expect(planMachines([wanted()], [seen({ state: 'frozen' })], now)).toEqual([{ kind: 'thaw', id: 'm' }]);
});

test('a machine that is frozen, and is to be, is left alone', () => {
  expect(planMachines([wanted({ state: 'frozen' })], [seen({ state: 'frozen' })], now)).toEqual([]);
});

test('a machine that goes on though its row says frozen stays up: a call may have woken it', () => {
  expect(planMachines([wanted({ state: 'frozen' })], [seen()], now)).toEqual([
    { kind: 'move', id: 'm', address: '10.0.0.2:8080' },
  ]);
});

test('a frozen machine that is gone rests as a stopped one', () => {
  for (const there of [[], [seen({ state: 'exited', address: null, exit })]])
    expect(planMachines([wanted({ state: 'frozen' })], there, now)).toEqual([
      { kind: 'note-stopped', id: 'm' },
    ]);
});

test('a machine that is to rest and runs is stopped', () => {
  for (const state of ['stopped', 'failed'] as const)
    for (const there of [seen(), seen({ state: 'frozen' })])
      expect(planMachines([wanted({ state })], [there], now)).toEqual([{ kind: 'stop', id: 'm' }]);
});

describe('backoff', () => {
  test('is none after the first exit, doubles, and ends at a minute', () => {
    expect([1, 2, 3, 4, 20].map(backoffAfter)).toEqual([0, 500, 1000, 2000, 60_000]);
  });
  test('starts anew for a machine that ran well for a while', () => {
    expect(countExits(5, new Date(now - 60_000), now)).toBe(1);
    expect(countExits(5, new Date(now - 59_000), now)).toBe(6);
    expect(countExits(5, null, now)).toBe(6);
  });
});
