import { expect, it } from 'vitest';

import { CallerReports } from './caller-reports.ts';

function said(caller: string, load: Record<string, number> = {}) {
  return {
    caller,
    functions: Object.entries(load).map(([name, concurrency]) => ({
      project: 'default',
      function: name,
      concurrency,
      waiting: 0,
      machines: [],
    })),
  };
}
const loads = (reading: ReturnType<CallerReports['read']>) => Object.fromEntries(reading.loads);

it('the calls of every caller count together', () => {
  const reports = new CallerReports();
  reports.hear(said('a', { one: 3, two: 1 }), 0);
  reports.hear(said('b', { one: 4 }), 0);
  expect(loads(reports.read(500))).toEqual({ 'default.one': 7, 'default.two': 1 });
});

it('of two reports since the last look the mean counts, and without a new one the last', () => {
  const reports = new CallerReports();
  reports.hear(said('a', { one: 2 }), 0);
  reports.hear(said('a', { one: 4 }), 1000);
  expect(loads(reports.read(1010))).toEqual({ 'default.one': 3 });
  expect(loads(reports.read(2010))).toEqual({ 'default.one': 4 });
});

it('a function that is not reported any more has no calls', () => {
  const reports = new CallerReports();
  reports.hear(said('a', { one: 2 }), 0);
  reports.read(10);
  reports.hear(said('a'), 1000);
  expect(loads(reports.read(1010))).toEqual({});
});

it('nobody reporting is not the same as nothing to do', () => {
  const reports = new CallerReports();
  expect(reports.read(0).silent).toBe(true);
  reports.hear(said('a'), 0);
  expect(reports.read(1000).silent).toBe(false);
  expect(reports.read(3500).silent).toBe(true);
});

it('a caller that is late leaves its functions known in part, until it is taken to have ended', () => {
  const reports = new CallerReports();
  reports.hear(said('a', { one: 2 }), 0);
  reports.hear(said('b', { two: 5 }), 0);
  reports.read(10);
  reports.hear(said('b', { two: 5 }), 4000);
  expect([...reports.read(4010).partial]).toEqual(['default.one']);
  reports.hear(said('b', { two: 5 }), 11_000);
  const reading = reports.read(11_010);
  expect([...reading.partial]).toEqual([]);
  expect(loads(reading)).toEqual({ 'default.two': 5 });
});
