import { describe, expect, it } from 'vitest';

import { nextTick, planTicks, type Schedule } from './plan-ticks.ts';

const schedule = (text: string, more: Partial<Schedule> = {}): Schedule => ({
  kind: 'schedule',
  id: 's',
  schedule: text,
  timezone: 'UTC',
  overlap: 'allow',
  missed: 'once',
  ...more,
});
const after = (text: string, time: string, timezone = 'UTC') =>
  nextTick(schedule(text, { timezone }), new Date(time))?.toISOString();

describe('the next tick', () => {
  it.each([
    ['*/10 * * * *', '2026-01-01T00:03:00Z', '2026-01-01T00:10:00.000Z'],
    ['*/10 * * * *', '2026-01-01T00:10:00Z', '2026-01-01T00:20:00.000Z'],
    ['*/15 * * * * *', '2026-01-01T00:00:01Z', '2026-01-01T00:00:15.000Z'],
    ['0 9 * * 1', '2026-01-01T00:00:00Z', '2026-01-05T09:00:00.000Z'],
    ['@every 5m', '2026-01-01T00:03:00Z', '2026-01-01T00:05:00.000Z'],
    ['@daily', '2026-01-01T00:03:00Z', '2026-01-02T00:00:00.000Z'],
  ])('of %s after %s is %s', (text, time, expected) => {
    expect(after(text, time)).toBe(expected);
  });

  it('is by the clock of its time zone, also when that is put forward or back', () => {
    // Berlin: forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00.
    expect(after('0 9 * * *', '2026-03-28T12:00:00Z', 'Europe/Berlin')).toBe('2026-03-29T07:00:00.000Z');
    expect(after('0 9 * * *', '2026-10-24T12:00:00Z', 'Europe/Berlin')).toBe('2026-10-25T08:00:00.000Z');
    const first = after('30 2 * * *', '2026-10-24T12:00:00Z', 'Europe/Berlin') ?? '';
    expect(first).toBe('2026-10-25T00:30:00.000Z');
    // The hour that comes twice fires once.
    expect(after('30 2 * * *', first, 'Europe/Berlin')).toBe('2026-10-26T01:30:00.000Z');
  });

  it.each(['', 'soon', '* * * *', '99 * * * *', '@every 5', '@every 1ms'])('%j is no schedule', (text) => {
    expect(() => nextTick(schedule(text), new Date())).toThrow(/is no schedule/);
  });
});

describe('after the platform was away', () => {
  const due = new Date('2026-01-01T00:00:00Z');
  const now = new Date('2026-01-01T00:35:00Z');
  const plan = (missed: Schedule['missed']) => {
    const { fire, next } = planTicks(schedule('*/10 * * * *', { missed }), due, now);
    return {
      fire: fire.map((time) => time.toISOString().slice(14, 16)),
      next: next?.toISOString().slice(14, 16),
    };
  };
  it('missed ticks are left out, made up for by one, or all fired', () => {
    expect(plan('skip')).toEqual({ fire: [], next: '40' });
    expect(plan('once')).toEqual({ fire: ['30'], next: '40' });
    expect(plan('all')).toEqual({ fire: ['00', '10', '20', '30'], next: '40' });
  });
  it('a tick that comes in time is none that was missed', () => {
    const { fire } = planTicks(
      schedule('*/10 * * * *', { missed: 'skip' }),
      due,
      new Date(due.getTime() + 400),
    );
    expect(fire).toEqual([due]);
  });
});
