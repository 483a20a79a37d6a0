import { expect, test } from 'vitest';

import type { Machine } from '#client';
import { eventually } from '#testing';

import { changeScale, deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import type { House } from './harness/house.ts';
import { leftoversOf, processesOf } from './harness/look-inside.ts';
import { uniqueName } from './harness/sample-apps.ts';

const soon = '500ms';
const never = { freezeAfter: '1h', stopAfter: '1h', removeAfter: '1h' };
/** What brings a machine into each tier and no further. */
const tiers = [
  { state: 'frozen', change: { ...never, freezeAfter: soon } },
  { state: 'stopped', change: { ...never, freezeAfter: soon, stopAfter: soon } },
  { state: 'removed', change: { freezeAfter: soon, stopAfter: soon, removeAfter: soon } },
] as const;

inEachHouse('rest and wake', (house) => {
  test('a function nobody calls freezes, stops and is removed; the first call brings it back from each', async () => {
    const name = uniqueName('rest');
    await deployHello(house(), name);
    const first = await onlyMachineOf(house(), name);
    for (const { state, change } of tiers) {
      await changeScale(house(), name, change);
      await eventually(async () => (await stateOf(house(), name)) === state, { timeoutMs: 30_000 });
      if (state !== 'frozen') await eventually(async () => (await processesOf(name)).length === 0);
      // The route outlives its machines.
      expect((await house().client.getFunction(name)).state).toBe('live');
      const { machine } = await callCold(house(), name);
      expect(machine === first.id).toBe(state !== 'removed');
    }
    await removeAndWait(house(), name);
    expect(await leftoversOf(house(), name)).toEqual([]);
  });

  test('many first callers wake one machine, and its trace shows who woke it', async () => {
    const name = uniqueName('crowd');
    await deployHello(house(), name);
    await changeScale(house(), name, { ...tiers[2].change, max: 1 });
    await eventually(async () => (await stateOf(house(), name)) === 'removed', { timeoutMs: 30_000 });
    await changeScale(house(), name, never);
    const traceId = 'c0'.repeat(16);
    const calls = [
      { traceparent: `00-${traceId}-${'ab'.repeat(8)}-01` },
      ...Array.from({ length: 30 }, () => ({})),
    ];
    const answers = await Promise.all(calls.map((headers) => house().call(`/function/${name}`, { headers })));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const machines = answers.map(({ body }) => (JSON.parse(body) as { machine: string }).machine);
    expect(new Set(machines).size).toBe(1);
    await eventually(async () => {
      const { spans } = await house().client.getTrace(traceId);
      const waking = spans.filter((span) => span.name.includes('wake-function'));
      return (
        waking.some((span) => span.service.endsWith('gateway')) &&
        waking.some((span) => span.service.endsWith('machines'))
      );
    });
    await removeAndWait(house(), name);
  });
});

async function onlyMachineOf(house: House, name: string): Promise<Machine> {
  const { items } = await house.client.listMachines({ function: name });
  const [machine] = items.filter(({ state }) => state !== 'removed');
  if (!machine) throw new Error(`${name} has no machine`);
  return machine;
}

/** Of the one machine there is; `removed` when there is none. */
async function stateOf(house: House, name: string): Promise<Machine['state']> {
  const { items } = await house.client.listMachines({ function: name });
  return items.find(({ state }) => state !== 'removed')?.state ?? 'removed';
}

async function callCold(house: House, name: string): Promise<{ machine: string }> {
  const answer = await house.call(`/function/${name}`);
  expect(answer.status, answer.body).toBe(200);
  return JSON.parse(answer.body) as { machine: string };
}
