import { expect, test } from 'vitest';

import { describeSample, type Reading } from './describe-sample.ts';

const machine = { id: 'm1', revision: 'echo-v1' };
const at = new Date('2026-01-02T03:04:05.678Z');
const reading = (cpuSeconds: number, atMs: number): Reading => ({
  usage: { cpuSeconds, memoryBytes: 10, memoryLimitBytes: 100, processes: 2 },
  atMs,
});

test('cores in use are the time on the processor over the time since the sample before', () => {
  expect(describeSample(machine, reading(3, 6000), reading(1, 2000), at)).toEqual({
    machine: 'm1',
    revision: 'echo-v1',
    at: '2026-01-02T03:04:05.678Z',
    cpuSeconds: 3,
    cpu: 0.5,
    memoryBytes: 10,
    memoryLimitBytes: 100,
    processes: 2,
  });
});

test('there is no rate in the first sample, after a new start, and of no time at all', () => {
  expect(describeSample(machine, reading(3, 6000), undefined, at).cpu).toBeNull();
  expect(describeSample(machine, reading(0.1, 6000), reading(9, 1000), at).cpu).toBeNull();
  expect(describeSample(machine, reading(3, 6000), reading(3, 6000), at).cpu).toBeNull();
});
