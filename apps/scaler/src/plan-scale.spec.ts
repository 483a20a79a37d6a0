import { describe, expect, it } from 'vitest';

import { defaultScale } from '#contracts';

import { firstPanic, panicWindowOf, planScale, targetOf, type ScaleFacts } from './plan-scale.ts';

const target10 = { ...defaultScale, target: 10 };

function plan(facts: Partial<ScaleFacts>) {
  const { value = 0, panicValue = value } = facts;
  return planScale({
    now: 1_000_000,
    settings: target10,
    concurrency: 0,
    running: 1,
    panic: null,
    ...facts,
    value,
    panicValue,
  });
}

describe('the target', () => {
  it.each([
    ['is scale.target', { target: 10 }, 0, 10],
    ['is 70 % of concurrency when not given', {}, 20, 14],
    ['is 50 when neither is given', {}, 0, 50],
    ['is never more than a machine takes', { target: 100 }, 20, 20],
  ])('%s', (_, settings, concurrency, expected) => {
    expect(targetOf(settings, concurrency)).toBeCloseTo(expected);
  });
});

describe('the stable window', () => {
  it.each([
    [1, 10, 1],
    [2, 20.01, 3],
    [2, 25, 3],
    [3, 25, 3],
    [10, 95, 10],
  ])(
    '%d running with %d calls at a time: %d, each part of a target counting whole',
    (running, value, wanted) => {
      expect(plan({ running, value })).toMatchObject({ wanted, panic: null });
    },
  );

  it('takes a hair of arithmetic for nothing', () => {
    expect(plan({ running: 3, value: 30.000_000_000_1 }).wanted).toBe(3);
  });

  it('lets at most half of the machines go at once', () => {
    expect(plan({ running: 10, value: 5 }).wanted).toBe(5);
    expect(plan({ running: 5, value: 5 }).wanted).toBe(2);
    expect(plan({ running: 2, value: 5 }).wanted).toBe(1);
  });

  it('does not go up for calls that are over: machines that went to rest are not woken for nothing', () => {
    expect(plan({ running: 1, value: 50, panicValue: 0 }).wanted).toBe(1);
    expect(plan({ running: 0, value: 50, panicValue: 0 }).wanted).toBe(0);
    expect(plan({ running: 3, value: 50, panicValue: 35 }).wanted).toBe(4);
  });
});

describe('panic', () => {
  it('begins when the panic window needs twice of what runs, and goes up at once', () => {
    expect(plan({ running: 2, value: 12, panicValue: 30 }).panic).toBeNull();
    expect(plan({ running: 2, value: 12, panicValue: 40 })).toMatchObject({
      wanted: 4,
      panic: { since: 1_000_000, most: 4 },
    });
  });

  it('goes up at most ten times at once', () => {
    expect(plan({ running: 1, value: 500, settings: { ...target10, max: 100 } }).wanted).toBe(10);
    expect(plan({ running: 10, value: 500, settings: { ...target10, max: 100 } }).wanted).toBe(50);
  });

  it('never goes down while it lasts', () => {
    const panic = { since: 990_000, most: 6 };
    expect(plan({ running: 6, value: 5, panicValue: 5, panic })).toMatchObject({ wanted: 6, panic });
  });

  it('is renewed by each further reason, and goes on upwards', () => {
    const panic = { since: 950_000, most: 2 };
    expect(plan({ running: 2, value: 20, panicValue: 60, panic })).toMatchObject({
      wanted: 6,
      panic: { since: 1_000_000, most: 6 },
    });
  });

  it('ends after a stable window without a reason, and only then the number falls', () => {
    const before = { since: 1_000_000 - defaultScale.window + 1, most: 6 };
    expect(plan({ running: 6, value: 5, panic: before }).wanted).toBe(6);
    const after = { since: 1_000_000 - defaultScale.window, most: 6 };
    expect(plan({ running: 6, value: 5, panic: after })).toMatchObject({ wanted: 3, panic: null });
  });

  it('is how several machines that are seen for the first time begin: a restart loses the window, not the machines', () => {
    expect(firstPanic(1, 5)).toBeNull();
    expect(plan({ running: 4, value: 0, panic: firstPanic(4, 1_000_000) }).wanted).toBe(4);
  });

  it('has a tenth of the window, and never less than two reports', () => {
    expect(panicWindowOf({ window: 60_000 })).toBe(6000);
    expect(panicWindowOf({ window: 6000 })).toBe(2000);
  });
});

describe('bounds', () => {
  it('max holds, in panic too, and the reason says so', () => {
    const settings = { ...target10, max: 3 };
    const { wanted, reason } = plan({ running: 1, value: 500, settings });
    expect(wanted).toBe(3);
    expect(reason).toMatch(/max is 3/);
    expect(plan({ running: 6, settings, panic: { since: 999_000, most: 6 } }).wanted).toBe(3);
  });

  it('min is kept up without a call, and the reason says so', () => {
    const settings = { ...target10, min: 2 };
    const { wanted, reason } = plan({ running: 0, settings });
    expect(wanted).toBe(2);
    expect(reason).toMatch(/min is 2/);
  });

  it('leaves the last machine to its rest', () => {
    expect(plan({ running: 2, value: 0 }).wanted).toBe(1);
    expect(plan({ running: 1, value: 0 }).wanted).toBe(1);
    expect(plan({ running: 0, value: 0 }).wanted).toBe(0);
  });

  it('leaves the first machine to the call that wakes it, and brings the others', () => {
    expect(plan({ running: 0, value: 5 }).wanted).toBe(0);
    expect(plan({ running: 0, value: 35 }).wanted).toBe(4);
  });
});

describe('steps', () => {
  const settings = {
    ...defaultScale,
    max: 25,
    steps: [
      { from: 100, machines: 25 },
      { from: 10, machines: 4 },
      { from: 1, machines: 1 },
    ],
  };
  it.each([
    [4, 0.5, 2],
    [3, 9, 1],
    [3, 10, 4],
    [20, 99, 10],
    [13, 100, 25],
  ])('%d running, %d at a time: %d, by the highest step that is reached', (running, value, wanted) => {
    expect(plan({ settings, running, value }).wanted).toBe(wanted);
  });
});

it('the reason is a sentence with the figures it comes from', () => {
  expect(plan({ running: 2, value: 25 }).reason).toBe('25 calls at a time over 60 s, 10 each');
  expect(plan({ running: 1, value: 2, panicValue: 42.25 }).reason).toBe(
    '42.3 calls at a time over 6 s, 10 each: far more than 1 should take, so at once and none goes for 60 s',
  );
});
