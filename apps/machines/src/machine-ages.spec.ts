import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { defaultScale } from '#contracts';

import { MachineAges } from './machine-ages.ts';
import { MachineBook, type FunctionKey } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';
import type { RouteTable } from './route-table.ts';

const hour = 3_600_000;
const noon = new Date('2026-01-02T12:00:00Z');

let book: MachineBook;
let ages: MachineAges;
let setExpiry: (expiresAfter: number | undefined) => void;
const echo = { id: 'm1', project: 'default', function: 'echo', revision: 'echo-v1' };
const madeAt = (createdAt: Date): MachineRow => ({ ...echo, createdAt }) as MachineRow;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: noon });
  let scale = defaultScale;
  let tell: (key: FunctionKey) => void = () => undefined;
  const routes = {
    scaleOf: () => scale,
    onScaleChange: (listener: (key: FunctionKey) => void) => void (tell = listener),
  };
  book = new MachineBook();
  ages = new MachineAges(book, routes as unknown as RouteTable);
  setExpiry = (expiresAfter) => {
    scale = { ...defaultScale, ...(expiresAfter === undefined ? {} : { expiresAfter }) };
    tell(echo);
  };
});
afterEach(() => vi.useRealTimers());

test('setting the wall clock makes no machine older or younger', () => {
  setExpiry(2 * hour);
  const machine = madeAt(noon);
  book.set(machine);
  vi.advanceTimersByTime(hour);
  vi.setSystemTime(new Date('2036-01-01T00:00:00Z'));
  expect(ages.ageOf(machine)).toBe(hour);
  vi.setSystemTime(new Date('2006-01-01T00:00:00Z'));
  expect(ages.ageOf(machine)).toBe(hour);
  expect(ages.expiresAt(machine)).toEqual(new Date('2026-01-02T14:00:00Z'));
});

test('what passed before this process came is counted, but never less than nothing', () => {
  book.set(madeAt(new Date(noon.getTime() - hour)));
  expect(ages.ageOf(madeAt(new Date(noon.getTime() - hour)))).toBe(hour);
  expect(ages.ageOf({ ...madeAt(new Date(noon.getTime() + hour)), id: 'm2' })).toBe(0);
});

test('an expiry that is changed counts from then, and another change of the scale changes nothing', () => {
  setExpiry(undefined);
  const machine = madeAt(noon);
  book.set(machine);
  vi.advanceTimersByTime(3 * hour);
  expect(ages.expiresAt(machine)).toBeNull();
  setExpiry(hour);
  expect(ages.ageOf(machine)).toBe(0);
  expect(ages.expiresAt(machine)).toEqual(new Date('2026-01-02T16:00:00Z'));
  vi.advanceTimersByTime(1000);
  setExpiry(hour);
  expect(ages.ageOf(machine)).toBe(1000);
});
