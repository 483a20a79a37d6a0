import { describe, expect, test } from 'vitest';

import { planAdmission, type AdmissionLimits, type Share } from './plan-admission.ts';

const mebibyte = 1024 ** 2;
const share = (id: string, more: Partial<Share> = {}): Share => ({
  id,
  project: 'default',
  function: 'echo',
  memory: 100 * mebibyte,
  cpu: 1,
  frozenSince: null,
  ...more,
});
const limits = (
  host: Partial<AdmissionLimits['host']> = {},
  project: Partial<AdmissionLimits['project']> = {},
): AdmissionLimits => ({
  host: { memory: Infinity, cpu: Infinity, machines: Infinity, ...host },
  project: { memory: Infinity, machines: Infinity, ...project },
});

test('what fits to the last byte is admitted', () => {
  const plan = planAdmission(
    share('new'),
    [share('a')],
    limits({ memory: 200 * mebibyte, cpu: 2, machines: 2 }),
  );
  expect(plan).toEqual({ kind: 'admit' });
});

test('a machine does not stand in its own way', () => {
  expect(planAdmission(share('a'), [share('a')], limits({ machines: 1 }))).toEqual({ kind: 'admit' });
});

test('tenths of cores add up without an error', () => {
  const tenths = Array.from({ length: 9 }, (_, index) => share(`m${index}`, { cpu: 0.1 }));
  expect(planAdmission(share('new', { cpu: 0.1 }), tenths, limits({ cpu: 1 }))).toEqual({ kind: 'admit' });
});

test('frozen machines make room, those that rest longest first, and no more of them than needed', () => {
  const holding = [
    share('running'),
    share('late', { frozenSince: 3 }),
    share('early', { frozenSince: 1 }),
    share('middle', { frozenSince: 2 }),
  ];
  const asked = share('new', { memory: 150 * mebibyte });
  expect(planAdmission(asked, holding, limits({ memory: 400 * mebibyte }))).toEqual({
    kind: 'reclaim',
    stop: ['early', 'middle'],
  });
});

test('a project over its quota makes room among its own only, and the host then counts what that freed', () => {
  const other = share('other', { project: 'other', frozenSince: 1 });
  const holding = [other, share('own', { frozenSince: 2 }), share('busy')];
  expect(planAdmission(share('new'), holding, limits({ machines: 3 }, { machines: 2 }))).toEqual({
    kind: 'reclaim',
    stop: ['own'],
  });
  expect(planAdmission(share('new'), [other, share('busy')], limits({}, { machines: 1 }))).toMatchObject({
    kind: 'refuse',
    code: 'over-quota',
  });
});

describe('a refusal says plainly what is lacking', () => {
  test.each([
    [
      limits({ memory: 1536 * mebibyte }),
      [share('a', { memory: 1500 * mebibyte })],
      'The host gives its machines 1.5 GiB, of which 1.5 GiB is taken, and a machine of echo needs 100 MiB of memory.',
    ],
    [
      limits({ memory: 64 * mebibyte }),
      [],
      'The host gives its machines 64 MiB, and a machine of echo needs 100 MiB of memory.',
    ],
    [
      limits({ cpu: 1.5 }),
      [share('a')],
      'The host gives its machines 1.5 cores, of which 1 cores are taken, and a machine of echo needs 1 cores.',
    ],
    [limits({ machines: 1 }), [share('a')], 'The host may have 1 machines up at a time, and 1 are.'],
    [
      limits({}, { memory: 150 * mebibyte }),
      [share('a')],
      'The project default gives its machines 150 MiB, of which 100 MiB is taken, and a machine of echo needs 100 MiB of memory.',
    ],
  ])('%o', (given, holding, reason) => {
    expect(planAdmission(share('new'), holding, given)).toMatchObject({ kind: 'refuse', reason });
  });
});
