import type { Activity } from '#contracts';

import type { EndpointTable } from './endpoint-table.ts';
import type { Target } from './target.ts';

/**
 * Says what this process had to do with functions since its last report. Costs nothing for functions without work.
 * Times are of `performance.now()`.
 */
export class ActivityReport {
  private readonly table: EndpointTable;
  private readonly caller: string;
  private since = performance.now();

  constructor(table: EndpointTable, caller: string) {
    this.table = table;
    this.caller = caller;
  }

  take(now: number): Activity {
    const functions = [...this.table.takeWorking()].map((target) => this.describe(target, now));
    this.since = now;
    return { caller: this.caller, functions };
  }

  private describe(target: Target, now: number): Activity['functions'][number] {
    const [project = '', name = ''] = target.key.split('.');
    const machines = new Map<string, { machine: string; calls: number; begun: number }>();
    for (const slots of [target.slots.values(), target.leaving]) {
      for (const slot of slots) {
        if (slot.calls === 0 && slot.begun === 0) continue;
        const before = machines.get(slot.machine) ?? { machine: slot.machine, calls: 0, begun: 0 };
        before.calls += slot.calls;
        before.begun += slot.begun;
        machines.set(slot.machine, before);
        slot.begun = 0;
      }
    }
    return {
      project,
      function: name,
      concurrency: target.load.take(this.since, now),
      waiting: target.held.size,
      machines: [...machines.values()],
    };
  }
}
