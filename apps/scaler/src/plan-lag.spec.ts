import { describe, expect, it } from 'vitest';

import { defaultScale, type ScaleSettings } from '#contracts';

import { planLag, type LagFacts } from './plan-lag.ts';

function plan(scale: Partial<ScaleSettings>, facts: Partial<LagFacts>) {
  const { lag = 0 } = facts;
  const settings = { ...defaultScale, max: 100, ...scale };
  return planLag({ settings, concurrency: 0, running: 0, before: 0, lag, average: lag, ...facts });
}

describe('by lag', () => {
  it.each([
    [0, 0],
    [1, 1],
    [10, 1],
    [11, 2],
    [5000, 100],
  ])('%i events need %i machines of 10 each, at most max', (lag, wanted) => {
    expect(plan({ metric: 'lag', target: 10 }, { lag }).wanted).toBe(wanted);
  });
  it('a machine has as many as it takes at a time when nothing is said', () => {
    expect(plan({ metric: 'lag' }, { lag: 12, concurrency: 4 }).wanted).toBe(3);
  });
  it('none goes while the average of the last seconds still needs it', () => {
    expect(plan({ metric: 'lag', target: 10 }, { lag: 1, average: 55, running: 6 }).wanted).toBe(6);
  });
  it('min is kept', () => {
    expect(plan({ metric: 'lag', min: 2 }, { lag: 0 })).toMatchObject({
      wanted: 2,
      reason: expect.stringContaining('min is 2'),
    });
  });
});

describe('by steps, down when empty', () => {
  const steps = [
    { from: 100, machines: 25 },
    { from: 0, machines: 0 },
  ];
  const at = (lag: number, running = 0, before = running) =>
    plan({ metric: 'steps', steps, scaleDown: 'whenEmpty' }, { lag, running, before }).wanted;
  it('nothing comes below the step', () => {
    expect([0, 1, 99].map((lag) => at(lag))).toEqual([0, 0, 0]);
  });
  it('all come at the step, stay until nothing is left, and go then', () => {
    expect(at(100)).toBe(25);
    expect([99, 50, 1].map((lag) => at(lag, 25))).toEqual([25, 25, 25]);
    expect(at(0, 25)).toBe(0);
  });
  it('what is on its way counts as there', () => {
    expect(at(60, 3, 25)).toBe(25);
  });
  it('a scaler that was started in between keeps those that run', () => {
    expect(at(60, 25, 0)).toBe(25);
  });
});
