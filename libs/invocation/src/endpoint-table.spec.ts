import { describe, expect, it } from 'vitest';

import { defaultScale, type Endpoint, type RouteEntry } from '#contracts';

import { EndpointTable } from './endpoint-table.ts';
import type { Slot, Target } from './target.ts';

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
    const table = new EndpointTable({ retired: (slot) => retired.push(slot) });
    table.setRoute('default.a', route);
    table.setEndpoint(key, endpoint);
    const target = table.byName('default', 'a');
    const slot = target?.slots.get('m1');
    if (!target || !slot) throw new Error('the machine is not in the table');
    table.begin(target, slot);
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

  describe('that was told of a machine by the answer to a wake', () => {
    const states = (table: EndpointTable) => {
      const slots = table.byName('default', 'a')?.slots.values() ?? [];
      return [...slots].map((slot) => `${slot.endpoint.address} ${slot.endpoint.state}`);
    };
    function woken(): EndpointTable {
      const table = new EndpointTable();
      table.setRoute('default.a', route);
      table.setWoken(table.byName('default', 'a') as Target, endpoint, 1000);
      return table;
    }

    it('is not misled by what the bucket said before, however late that comes', () => {
      const table = woken();
      table.setEndpoint(key, { ...endpoint, state: 'draining' });
      table.setEndpoint(key, null);
      expect(states(table)).toEqual(['x:1 ready']);
      table.setEndpoint(key, endpoint);
      table.expireVouched(1_000_000);
      expect(states(table)).toEqual(['x:1 ready']);
    });

    it('follows every word of the bucket once the bucket has said the same', () => {
      const table = woken();
      table.setEndpoint(key, endpoint);
      table.setEndpoint(key, { ...endpoint, state: 'draining' });
      expect(states(table)).toEqual(['x:1 draining']);
      table.setEndpoint(key, null);
      expect(states(table)).toEqual([]);
    });

    it('believes the last word of the bucket when that never says the same', () => {
      const table = woken();
      table.setEndpoint(key, { ...endpoint, state: 'draining' });
      table.expireVouched(2000);
      expect(states(table)).toEqual(['x:1 ready']);
      table.expireVouched(3000);
      expect(states(table)).toEqual(['x:1 draining']);
      const silent = woken();
      silent.expireVouched(3000);
      expect(states(silent)).toEqual([]);
    });

    it('takes a new address from the bucket at once, and does not forget that a known machine took no connection', () => {
      const table = woken();
      table.setEndpoint(key, { ...endpoint, address: 'x:2' });
      expect(states(table)).toEqual(['x:2 ready']);
      const target = table.byName('default', 'a') as Target;
      const slot = target.slots.get('m1') as Slot;
      slot.avoidUntil = 5000;
      table.setWoken(target, { ...endpoint, address: 'x:2' }, 1000);
      expect(slot.avoidUntil).toBe(5000);
    });
  });
});
