import {
  GetCapacity,
  ListMachines,
  MachineChanged,
  machineSampleSchema,
  statsSubject,
  type Machine,
  type MachineSample,
  type ResponseOf,
} from '#contracts';
import type { Messenger } from '#messaging';

type Capacity = ResponseOf<typeof GetCapacity>;

/** Milliseconds between two readings of the whole list, for a change may be missed while the link is broken, and of the capacity. */
const readAgainMs = 15_000;

/** What machines use and how they are, in the text format of Prometheus: what was heard last of each. */
export class MachineMetrics {
  private readonly messenger: Pick<Messenger, 'ask'>;
  private readonly machines = new Map<string, Machine>();
  private readonly samples = new Map<string, MachineSample>();
  private capacity: Capacity | null = null;
  private readAt = -Infinity;

  constructor(messenger: Pick<Messenger, 'ask' | 'listen' | 'subscribe'>) {
    this.messenger = messenger;
    messenger.subscribe(MachineChanged, '*', (machine) => this.note(machine));
    messenger.listen(statsSubject('*', '*'), machineSampleSchema, (sample) =>
      this.samples.set(sample.machine, sample),
    );
    this.readAgain();
  }

  /** Never waits for the machines room: who scrapes wants to know of the rest, too, while it is away. */
  render(): string {
    if (performance.now() - this.readAt > readAgainMs) this.readAgain();
    return (
      renderMachines([...this.machines.values()], this.samples) +
      (this.capacity ? renderCapacity(this.capacity) : '')
    );
  }

  private readAgain(): void {
    this.readAt = performance.now();
    this.read().catch(() => {
      // The machines room is away: the next scrape tries again.
      this.readAt = -Infinity;
    });
  }

  private async read(): Promise<void> {
    const { items } = await this.messenger.ask(ListMachines, {});
    const there = new Set(items.map(({ id }) => id));
    for (const id of [...this.machines.keys(), ...this.samples.keys()]) if (!there.has(id)) this.forget(id);
    for (const machine of items) this.note(machine);
    this.capacity = await this.messenger.ask(GetCapacity, {});
  }

  private note(machine: Machine): void {
    if (machine.state === 'removed') this.forget(machine.id);
    else this.machines.set(machine.id, machine);
  }

  private forget(id: string): void {
    this.machines.delete(id);
    this.samples.delete(id);
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
  return lines([
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
  ]);
}

function renderCapacity({ memoryBytes, cpu, machines }: Capacity): string {
  const both = ({ total, used }: { total: number; used: number }): [string, number][] => [
    ['what="total"', total],
    ['what="taken"', used],
  ];
  return lines([
    ...metric('cestx_host_memory_bytes', 'Memory for machines.', 'gauge', both(memoryBytes)),
    ...metric('cestx_host_cpu_cores', 'Cores for machines, handed out many times.', 'gauge', both(cpu)),
    ...metric('cestx_host_machines', 'Machines that may be up.', 'gauge', both(machines)),
  ]);
}

function lines(all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
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
