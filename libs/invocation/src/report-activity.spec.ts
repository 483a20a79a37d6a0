import { describe, expect, it } from 'vitest';

import { defaultScale, type Endpoint } from '#contracts';

import { EndpointTable } from './endpoint-table.ts';
import { LoadMeter } from './load-meter.ts';
import { ActivityReport } from './report-activity.ts';
import type { Slot, Target } from './target.ts';

function tableOf(...functions: string[]): EndpointTable {
  const table = new EndpointTable();
  for (const name of functions) {
    table.setRoute(`default.${name}`, {
      project: 'default',
      function: name,
      host: `${name}.localhost`,
      traffic: [],
      timeout: 1000,
      concurrency: 0,
      scale: defaultScale,
    });
    const endpoint: Endpoint = {
      machine: 'm1',
      revision: `${name}-v1`,
      address: 'x:1',
      state: 'ready',
      concurrency: 0,
    };
    table.setEndpoint(`default.${name}.m1`, endpoint);
  }
  return table;
}
const targetOf = (table: EndpointTable, name: string) => table.byName('default', name) as Target;
const slotOf = (table: EndpointTable, name: string) => targetOf(table, name).slots.get('m1') as Slot;

describe('the load of a function', () => {
  it('is averaged exactly over the time since it was last taken', () => {
    const load = new LoadMeter();
    load.change(1, 100);
    load.change(1, 600);
    load.change(-2, 700);
    expect(load.take(0, 1000)).toBeCloseTo((500 + 200) / 1000);
    load.change(3, 1500);
    expect(load.take(1000, 2000)).toBeCloseTo(1.5);
    expect(load.take(2000, 3000)).toBe(3);
    expect(load.current).toBe(3);
  });
});

describe('a report of activity', () => {
  it('leaves out functions without work, and is still made when there is none', () => {
    const table = tableOf('idle', 'busy');
    const report = new ActivityReport(table, 'me');
    expect(report.take(performance.now())).toEqual({ caller: 'me', functions: [] });
    const [target, slot] = [targetOf(table, 'busy'), slotOf(table, 'busy')];
    table.begin(target, slot);
    table.end(target, slot);
    table.begin(target, slot);
    const [only, ...others] = report.take(performance.now()).functions;
    expect(others).toEqual([]);
    expect(only).toMatchObject({
      project: 'default',
      function: 'busy',
      waiting: 0,
      machines: [{ machine: 'm1', calls: 1, begun: 2 }],
    });
  });

  it('names a long call each time, at a machine that left the table too, and once more when it has ended', () => {
    const table = tableOf('busy');
    const report = new ActivityReport(table, 'me');
    const [target, slot] = [targetOf(table, 'busy'), slotOf(table, 'busy')];
    table.begin(target, slot);
    report.take(performance.now());
    table.setEndpoint('default.busy.m1', null);
    const [during] = report.take(performance.now()).functions;
    expect(during?.machines).toEqual([{ machine: 'm1', calls: 1, begun: 0 }]);
    table.end(target, slot);
    expect(report.take(performance.now()).functions).toMatchObject([{ function: 'busy', machines: [] }]);
    expect(report.take(performance.now()).functions).toEqual([]);
  });
});
