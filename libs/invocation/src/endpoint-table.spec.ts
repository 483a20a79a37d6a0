import { describe, expect, it } from 'vitest';

import { defaultScale, type Endpoint, type RouteEntry } from '#contracts';

import { EndpointTable, type Slot } from './endpoint-table.ts';

const route: RouteEntry = {
  project: 'default',
  function: 'a',
  host: 'a.localhost',
  traffic: [],
  timeout: 1000,
  concurrency: 0,
  scale: defaultScale,
};
const endpoint: Endpoint = {
  machine: 'm1',
  revision: 'a-v1',
  address: 'x:1',
  state: 'ready',
  concurrency: 0,
};
const key = 'default.a.m1';

describe('the endpoint table', () => {
  it('finds a function by host and by name for as long as it has a route', () => {
    const table = new EndpointTable();
    table.setEndpoint(key, endpoint);
    expect(table.byName('default', 'a')).toBeUndefined();
    table.setRoute('default.a', route);
    expect(table.byHost('a.localhost')).toBe(table.byName('default', 'a'));
    table.setRoute('default.a', { ...route, host: 'b.localhost' });
    expect(table.byHost('a.localhost')).toBeUndefined();
    expect(table.byHost('b.localhost')?.slots.size).toBe(1);
    table.setRoute('default.a', null);
    expect(table.byHost('b.localhost')).toBeUndefined();
    expect(table.byName('default', 'a')).toBeUndefined();
    expect(table.serviceCount).toBe(0);
  });

  it('still counts the calls of a machine that left, and lets its connections go only after the last', () => {
    const retired: Slot[] = [];
    const table = new EndpointTable((slot) => retired.push(slot));
    table.setRoute('default.a', route);
    table.setEndpoint(key, endpoint);
    const target = table.byName('default', 'a');
    const slot = target?.slots.get('m1');
    if (!target || !slot) throw new Error('the machine is not in the table');
    table.begin(slot);
    expect(table.inFlight(key)).toEqual({ calls: 1, open: true });
    table.setEndpoint(key, { ...endpoint, state: 'draining' });
    expect(table.inFlight(key)).toEqual({ calls: 1, open: false });
    table.setEndpoint(key, null);
    expect(table.inFlight(key)).toEqual({ calls: 1, open: false });
    expect(retired).toEqual([]);
    table.end(target, slot);
    expect(table.inFlight(key)).toEqual({ calls: 0, open: false });
    expect(retired).toEqual([slot]);
  });

  it('never sends to the old address of a machine that got a new one', () => {
    const table = new EndpointTable();
    table.setRoute('default.a', route);
    table.setEndpoint(key, endpoint);
    table.setEndpoint(key, { ...endpoint, address: 'x:2' });
    const slots = [...(table.byName('default', 'a')?.slots.values() ?? [])];
    expect(slots.map((slot) => slot.endpoint.address)).toEqual(['x:2']);
  });

  it('wakes who waits for a change, once', () => {
    const table = new EndpointTable();
    table.setRoute('default.a', route);
    let woken = 0;
    table.byName('default', 'a')?.onceChanged(() => woken++);
    table.setEndpoint(key, endpoint);
    table.setEndpoint(key, null);
    expect(woken).toBe(1);
  });
});
