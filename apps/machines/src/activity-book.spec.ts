import { expect, test } from 'vitest';

import { ActivityBook } from './activity-book.ts';

const key = { project: 'default', function: 'a' };
const report = (calls: number, begun: number, concurrency = 0, waiting = 0) => ({
  caller: 'gateway',
  functions: [{ ...key, concurrency, waiting, machines: [{ machine: 'm', calls, begun }] }],
});

test('a machine is in use by calls in flight and by calls that came and went, and by nothing else', () => {
  const book = new ActivityBook();
  book.hear(report(0, 0), 10);
  expect([book.lastUse('m'), book.lastActive(key)]).toEqual([-Infinity, -Infinity]);
  book.hear(report(0, 3), 20);
  book.hear(report(1, 0), 30);
  expect([book.lastUse('m'), book.lastActive(key)]).toEqual([30, 30]);
});

test('a function is active while calls wait, though none of its machines has one', () => {
  const book = new ActivityBook();
  book.hear(report(0, 0, 0, 1), 10);
  expect([book.lastUse('m'), book.lastActive(key)]).toEqual([-Infinity, 10]);
});

test('a caller that fell silent is not waited for, and nothing is known right after a break', () => {
  const book = new ActivityBook();
  book.doubt(0);
  book.hear(report(0, 0), 0);
  expect([book.isKnown(2999), book.isKnown(3000)]).toEqual([false, true]);
  expect([book.callers(10_000), book.callers(10_001)]).toEqual([1, 0]);
});
