import {
  ListMachines,
  machineSampleSchema,
  statsSubject,
  type Machine,
  type MachineSample,
} from '#contracts';
import type { Messenger } from '#messaging';

/** Milliseconds the machines room may take; without its answer the metrics of machines are left out. */
const patience = 2000;

/** What machines use and how they are, in the text format of Prometheus: the newest sample of each, heard as it is told. */
export class MachineMetrics {
  private readonly messenger: Pick<Messenger, 'ask'>;
  private readonly samples = new Map<string, MachineSample>();

  constructor(messenger: Pick<Messenger, 'ask' | 'listen'>) {
    this.messenger = messenger;
    messenger.listen(statsSubject('*', '*'), machineSampleSchema, (sample) =>
      this.samples.set(sample.machine, sample),
    );
  }

  async render(): Promise<string> {
    const listed = await this.messenger.ask(ListMachines, {}, { timeoutMs: patience }).catch(() => null);
    if (!listed) return '';
    const there = new Set(listed.items.map(({ id }) => id));
    for (const id of this.samples.keys()) if (!there.has(id)) this.samples.delete(id);
    return renderMachines(listed.items, this.samples);
  }
}

/** One that rests frozen keeps its memory and its last sample; one that was stopped has none. */
export function renderMachines(
  machines: readonly Machine[],
  samples: ReadonlyMap<string, MachineSample>,
): string {
  const up = machines.filter(({ state }) => state === 'running' || state === 'frozen');
  const measured = (value: (sample: MachineSample) => number): [string, number][] =>
    up.flatMap((machine) => {
      const sample = samples.get(machine.id);
      return sample ? [[labelsOf(machine), value(sample)] as [string, number]] : [];
    });
  return [
    ...metric(
      'cestx_machine_cpu_seconds_total',
      'Time on the processor since the machine was started.',
      'counter',
      measured(({ cpuSeconds }) => cpuSeconds),
    ),
    ...metric(
      'cestx_machine_memory_bytes',
      'Working set, as the kernel counts it.',
      'gauge',
      measured(({ memoryBytes }) => memoryBytes),
    ),
    ...metric(
      'cestx_machine_memory_limit_bytes',
      'What it may use.',
      'gauge',
      measured(({ memoryLimitBytes }) => memoryLimitBytes),
    ),
    ...metric(
      'cestx_machine_state',
      '1 for the state it is in.',
      'gauge',
      machines.map((machine) => [`${labelsOf(machine)},state="${machine.state}"`, 1]),
    ),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function labelsOf({ id, project, function: name, revision }: Machine): string {
  return `project="${project}",function_name="${name}",revision="${revision}",machine="${id}"`;
}

function metric(
  name: string,
  help: string,
  type: 'counter' | 'gauge',
  values: readonly (readonly [labels: string, value: number])[],
): string[] {
  if (values.length === 0) return [];
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...values.map(([labels, value]) => `${name}{${labels}} ${value}`),
  ];
}
