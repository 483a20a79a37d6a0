import { expect, test } from 'vitest';

import { CestxError, GetMachine, type MachineSample } from '#contracts';
import type { Messenger } from '#messaging';

import { followSamples } from './follow-samples.ts';

const sample = (second: number): MachineSample => ({
  machine: 'm1',
  revision: 'echo-v1',
  at: `2026-01-02T03:04:0${second}.000Z`,
  cpuSeconds: second,
  cpu: null,
  memoryBytes: 1,
  memoryLimitBytes: 2,
  processes: 1,
});

test('kept samples come first, then new ones, none twice, until the machine is gone', async () => {
  let hear: (value: MachineSample) => void = () => undefined;
  let stopped = false;
  const messenger = {
    listen: (_subject: string, _schema: unknown, listener: (value: MachineSample) => void) => {
      hear = listener;
      return () => (stopped = true);
    },
    ask: (query: unknown) => {
      if (query === GetMachine) throw new CestxError('not-found', 'There is no machine m1.');
      // Told while the kept ones are read, and among them.
      hear(sample(2));
      return Promise.resolve({ items: [sample(1), sample(2)] });
    },
  } as unknown as Pick<Messenger, 'ask' | 'listen'>;
  const { signal } = new AbortController();
  const got: (number | null)[] = [];
  const samples = followSamples(messenger, { machineId: 'm1', limit: 10 }, signal, { lookMs: 20 });
  for await (const one of samples) {
    got.push(one && one.cpuSeconds);
    if (got.length === 2) setTimeout(() => hear(sample(3)));
  }
  expect(got).toEqual([1, 2, 3]);
  expect(stopped).toBe(true);
});
