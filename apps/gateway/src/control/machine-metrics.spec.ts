import { expect, test } from 'vitest';

import type { Machine, MachineSample } from '#contracts';

import { renderMachines } from './machine-metrics.ts';

const machine = (id: string, state: Machine['state']): Machine => ({
  id,
  project: 'default',
  function: 'echo',
  revision: 'echo-v1',
  driver: 'docker',
  state,
  address: null,
  createdAt: '2026-01-02T03:04:05Z',
  since: '2026-01-02T03:04:05Z',
  reason: null,
  expiresAt: null,
});
const sample = (id: string): MachineSample => ({
  machine: id,
  revision: 'echo-v1',
  at: '2026-01-02T03:04:05Z',
  cpuSeconds: 1.5,
  cpu: 0.1,
  memoryBytes: 1000,
  memoryLimitBytes: 4000,
  processes: 1,
});

test('use is told of machines that run or are frozen, the state of all', () => {
  const samples = new Map(['m1', 'm2', 'm3'].map((id) => [id, sample(id)]));
  const text = renderMachines(
    [machine('m1', 'running'), machine('m2', 'frozen'), machine('m3', 'stopped')],
    samples,
  );
  const labels = (id: string) => `project="default",function_name="echo",revision="echo-v1",machine="${id}"`;
  expect(text.split('\n')).toEqual([
    '# HELP cestx_machine_cpu_seconds_total Time on the processor since the machine was started.',
    '# TYPE cestx_machine_cpu_seconds_total counter',
    `cestx_machine_cpu_seconds_total{${labels('m1')}} 1.5`,
    `cestx_machine_cpu_seconds_total{${labels('m2')}} 1.5`,
    '# HELP cestx_machine_memory_bytes Working set, as the kernel counts it.',
    '# TYPE cestx_machine_memory_bytes gauge',
    `cestx_machine_memory_bytes{${labels('m1')}} 1000`,
    `cestx_machine_memory_bytes{${labels('m2')}} 1000`,
    '# HELP cestx_machine_memory_limit_bytes What it may use.',
    '# TYPE cestx_machine_memory_limit_bytes gauge',
    `cestx_machine_memory_limit_bytes{${labels('m1')}} 4000`,
    `cestx_machine_memory_limit_bytes{${labels('m2')}} 4000`,
    '# HELP cestx_machine_state 1 for the state it is in.',
    '# TYPE cestx_machine_state gauge',
    `cestx_machine_state{${labels('m1')},state="running"} 1`,
    `cestx_machine_state{${labels('m2')},state="frozen"} 1`,
    `cestx_machine_state{${labels('m3')},state="stopped"} 1`,
    '',
  ]);
});

test('without machines there is nothing to tell', () => {
  expect(renderMachines([], new Map())).toBe('');
});
