import { describe, expect, it } from 'vitest';

import { defaultScale, type RouteEntry } from '#contracts';

import { RevisionScale } from './revision-scale.ts';

const route: RouteEntry = {
  project: 'default',
  function: 'f',
  host: 'f.localhost',
  traffic: [{ revision: 'f-v1', percent: 100 }],
  timeout: 30_000,
  concurrency: 0,
  scale: { ...defaultScale, target: 10, window: 10_000, max: 8 },
};

/** One look a second; what is ordered runs two seconds later. Returns the number of machines at the end of each second. */
function follow(loads: number[], from = 1) {
  const scale = new RevisionScale(from, 0);
  const orders: number[] = [];
  const history: number[] = [];
  let running = from;
  let due: { at: number; machines: number } | null = null;
  loads.forEach((load, second) => {
    const now = (second + 1) * 1000;
    if (due && due.at <= now) {
      running = due.machines;
      scale.noteEnd(running, now);
      due = null;
    }
    const decided = scale.look({ now, load, running, route, revision: 'f-v1' });
    if (decided) {
      orders.push(decided.decision.to);
      scale.noteOrder(decided.decision.to, now, decided.kind);
      due = { at: now + 2000, machines: decided.decision.to };
    }
    history.push(running);
  });
  return { orders, history, scale };
}
const seconds = (count: number, load: number) => Array.from({ length: count }, () => load);

describe('a load over time', () => {
  it('a burst brings machines within seconds and lets them go by halves when a window is over', () => {
    const { orders, history } = follow([...seconds(5, 2), ...seconds(15, 55), ...seconds(30, 2)]);
    expect(history[4]).toBe(1);
    expect(history[9]).toBe(6);
    expect(history[19]).toBe(6);
    expect(history.at(-1)).toBe(1);
    // Up within the burst, then only down.
    const peak = orders.indexOf(6);
    expect(orders.slice(0, peak + 1)).toEqual(orders.slice(0, peak + 1).sort((a, b) => a - b));
    expect(orders.slice(peak)).toEqual(orders.slice(peak).sort((a, b) => b - a));
  });

  it('an even load is ordered once and then left alone', () => {
    expect(follow(seconds(40, 28)).orders).toEqual([3]);
  });

  it('max is never passed', () => {
    expect(Math.max(...follow(seconds(30, 500)).history)).toBe(8);
  });

  it('several machines seen for the first time stay for a window', () => {
    const { history } = follow(seconds(30, 0), 4);
    expect(history.slice(0, 10)).toEqual(seconds(10, 4));
    expect(history.at(-1)).toBe(1);
  });

  it('nothing is remembered of a function without work', () => {
    const { scale } = follow([...seconds(3, 5), ...seconds(12, 0)]);
    expect(scale.isForgettable(1, route.scale)).toBe(true);
    expect(follow(seconds(3, 5)).scale.isForgettable(1, route.scale)).toBe(false);
  });
});
