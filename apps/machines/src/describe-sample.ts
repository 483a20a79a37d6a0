import type { MachineSample } from '#contracts';

import type { MachineUsage } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';

/** What was read of a machine before, and when: milliseconds of a clock that never jumps. */
export interface Reading {
  readonly usage: MachineUsage;
  readonly atMs: number;
}

/** A reading as others are told of it. Counters that fell belong to a new start of the machine, which has no rate yet. */
export function describeSample(
  machine: Pick<MachineRow, 'id' | 'revision'>,
  { usage, atMs }: Reading,
  before: Reading | undefined,
  at: Date,
): MachineSample {
  const { cpuSeconds, memoryBytes, memoryLimitBytes, processes } = usage;
  const used = before ? cpuSeconds - before.usage.cpuSeconds : -1;
  const seconds = before ? (atMs - before.atMs) / 1000 : 0;
  return {
    machine: machine.id,
    revision: machine.revision,
    at: at.toISOString(),
    cpuSeconds,
    cpu: used < 0 || seconds <= 0 ? null : used / seconds,
    memoryBytes,
    memoryLimitBytes,
    processes,
  };
}
