import { expect, test } from 'vitest';

import { planExpiry, type AgingMachine } from './plan-expiry.ts';

const machine = (more: Partial<AgingMachine>): AgingMachine => ({
  running: true,
  age: 1000,
  expiresAfter: 1000,
  needed: 0,
  younger: 0,
  ...more,
});

test('a machine is kept until it is as old as it may get, and for ever when nobody asked', () => {
  expect(planExpiry(machine({ age: 999 }))).toBe('keep');
  expect(planExpiry(machine({}))).toBe('end');
  expect(planExpiry(machine({ expiresAfter: undefined }))).toBe('keep');
});

test('one that is needed ends only when younger are up in its place; one that rests is in nobody’s way', () => {
  expect(planExpiry(machine({ needed: 1 }))).toBe('replace');
  expect(planExpiry(machine({ needed: 2, younger: 1 }))).toBe('replace');
  expect(planExpiry(machine({ needed: 1, younger: 1 }))).toBe('end');
  expect(planExpiry(machine({ needed: 1, running: false }))).toBe('end');
});
