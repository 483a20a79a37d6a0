import { describe, expect, it } from 'vitest';

import { CestxError, defaultScale, type Endpoint, type RouteEntry } from '#contracts';

import { TraceBudget, traceCall } from './call-trace.ts';
import { EndpointTable } from './endpoint-table.ts';
import { FunctionWaker, type AskToWake } from './function-waker.ts';
import { HeldCalls } from './held-calls.ts';
import type { HeldCall, Target } from './target.ts';

const description = { method: 'GET', function: 'a', project: 'default', callId: 'c', path: '/' };
const endpoint: Endpoint = {
  machine: 'm1',
  revision: 'a-v1',
  address: 'x:1',
  state: 'ready',
  concurrency: 0,
};

function house(options: { maxHeld?: number; concurrency?: number; max?: number; ask?: AskToWake } = {}) {
  const ask = options.ask ?? (() => new Promise<never>(() => {}));
  const table: EndpointTable = new EndpointTable({ changed: (changed) => held.serve(changed) });
  const woken: string[] = [];
  const waker = new FunctionWaker(table, ask, (from) => woken.push(from));
  const limits = { holdFor: 60_000, maxHeld: options.maxHeld ?? 100 };
  const held = new HeldCalls(table, limits, (target, trace) => waker.wake(target, held, trace));
  table.setRoute('default.a', {
    project: 'default',
    function: 'a',
    host: 'a.localhost',
    traffic: [
      { revision: 'a-v1', percent: 50 },
      { revision: 'a-v2', percent: 50 },
    ],
    timeout: 1000,
    concurrency: 0,
    scale: { ...defaultScale, max: options.max ?? 2 },
  });
  const target = table.byName('default', 'a') as Target;
  const log: string[] = [];
  const call = (name: string): HeldCall => ({
    trace: traceCall(undefined, description, new TraceBudget(0)),
    holdUntil: 0,
    reason: null,
    take(slot) {
      table.begin(target, slot);
      log.push(`${name} at ${slot.machine}`);
    },
    refuse: (error) => void log.push(`${name} ${error.code}`),
  });
  return { table, held, target, call, log, woken };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('held calls', () => {
  it('are served in the order they came, as many as there is room for', () => {
    const { table, held, target, call, log } = house();
    for (const name of ['first', 'second', 'third']) held.hold(target, call(name), 'none');
    table.setEndpoint('default.a.m1', { ...endpoint, concurrency: 2 });
    expect(log).toEqual(['first at m1', 'second at m1']);
    const slot = target.slots.get('m1');
    if (slot) table.end(target, slot);
    expect(log).toEqual(['first at m1', 'second at m1', 'third at m1']);
    expect(held.current).toBe(0);
  });

  it('are bounded in number', () => {
    const { held, target, call, log } = house({ maxHeld: 1 });
    held.hold(target, call('first'), 'none');
    held.hold(target, call('second'), 'none');
    expect(log).toEqual(['second unavailable']);
  });

  it('of one function leave as many places as they take', () => {
    const { table, held, target, call, log } = house({ maxHeld: 4 });
    table.setRoute('default.b', { ...(target.route as RouteEntry), function: 'b', host: 'b.localhost' });
    const other = table.byName('default', 'b') as Target;
    for (const name of ['1', '2', '3']) held.hold(target, call(name), 'none');
    expect(log).toEqual(['3 unavailable']);
    held.hold(other, call('other'), 'none');
    expect([log.length, held.current]).toEqual([1, 3]);
  });

  it('wait at a full function only while it may get more machines', () => {
    const { table, held, target, call, log } = house({ max: 2 });
    table.setEndpoint('default.a.m1', { ...endpoint, concurrency: 1 });
    held.hold(target, call('first'), 'full');
    expect(log).toEqual([]);
    table.setEndpoint('default.a.m2', { ...endpoint, machine: 'm2', concurrency: 1 });
    held.hold(target, call('second'), 'full');
    expect(log.at(-1)).toBe('second busy');
  });

  it('that were given up take no machine', () => {
    const { table, held, target, call, log } = house();
    const gone = call('gone');
    held.hold(target, gone, 'none');
    held.forget(target, gone);
    table.setEndpoint('default.a.m1', endpoint);
    expect([log, held.current, target.load.current]).toEqual([[], 0, 0]);
  });

  it('end with the route of their function', () => {
    const { table, held, target, call, log } = house();
    held.hold(target, call('first'), 'none');
    table.setRoute('default.a', null);
    expect(log).toEqual(['first not-found']);
  });
});

describe('waking a function', () => {
  it('asks once however many wait, and again while one waits and the room is away', async () => {
    let asked = 0;
    const ask: AskToWake = async ({ revision }) => {
      asked++;
      if (asked === 1) throw new CestxError('unavailable', 'away');
      return { endpoint: { ...endpoint, revision }, from: 'frozen', ms: 1 };
    };
    const { held, target, call, log, woken } = house({ ask });
    for (let index = 0; index < 50; index++) held.hold(target, call(`${index}`), 'none');
    await settled();
    expect(asked).toBe(1);
    await settled();
    await settled();
    expect([asked, log.length, woken]).toEqual([2, 50, ['frozen']]);
  });

  it('ends for all who wait when no revision with traffic can start, and begins anew for the next call', async () => {
    const asked: string[] = [];
    const ask: AskToWake = async ({ revision }) => {
      asked.push(revision);
      throw new CestxError('start-failed', 'broken');
    };
    const { held, target, call, log } = house({ ask });
    held.hold(target, call('first'), 'none');
    held.hold(target, call('second'), 'none');
    await settled();
    expect(log).toEqual(['first start-failed', 'second start-failed']);
    expect(asked.toSorted()).toEqual(['a-v1', 'a-v2']);
    held.hold(target, call('third'), 'none');
    await settled();
    expect([log.length, asked.length]).toEqual([3, 4]);
  });

  it('asks no more once nobody waits', async () => {
    let asked = 0;
    const ask: AskToWake = async () => {
      asked++;
      throw new CestxError('unavailable', 'away');
    };
    const { held, target, call } = house({ ask });
    const only = call('only');
    held.hold(target, only, 'none');
    await settled();
    held.forget(target, only);
    for (let turn = 0; turn < 5; turn++) await settled();
    expect(asked).toBe(1);
  });
});
