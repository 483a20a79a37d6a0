import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Machine } from '#client';
import { eventually } from '#testing';

import { changeScale, deployHello, removeAndWait } from './harness/deploy.ts';
import { House, houseKinds, type HouseKind } from './harness/house.ts';
import { leftoversOf, processesOf } from './harness/look-inside.ts';
import { byTurns, expectOneMachineOf } from './harness/saga-points.ts';
import { uniqueName } from './harness/sample-apps.ts';

const soon = '500ms';
const never = { freezeAfter: '1h', stopAfter: '1h', removeAfter: '1h' };
/** What brings a machine into each tier and no further. */
const restIn = {
  frozen: { ...never, freezeAfter: soon },
  stopped: { ...never, freezeAfter: soon, stopAfter: soon },
  removed: { freezeAfter: soon, stopAfter: soon, removeAfter: soon },
};
type Tier = keyof typeof restIn;

/** What is done to a machine, where it is before, and whether a call sets it off or time. */
const changes: { act: string; before: Tier | 'running'; by: Tier | 'call' }[] = [
  { act: 'freeze', before: 'running', by: 'frozen' },
  { act: 'start', before: 'stopped', by: 'call' },
  { act: 'stop', before: 'running', by: 'stopped' },
  { act: 'thaw', before: 'running', by: 'call' },
  { act: 'remove', before: 'stopped', by: 'removed' },
  { act: 'create', before: 'removed', by: 'call' },
];

describe.each(houseKinds)('rest and wake [$mode, $driver]', (kind: HouseKind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(kind);
  });
  afterAll(() => house?.stop());

  test('a function nobody calls freezes, stops and is removed; the first call brings it back from each', async () => {
    const name = uniqueName('rest');
    await deployHello(house, name);
    const first = await machineOf(house, name);
    for (const tier of ['frozen', 'stopped', 'removed'] as const) {
      await bringTo(house, name, tier);
      if (tier !== 'frozen') expect(await processesOf(name)).toEqual([]);
      // The function outlives its machines.
      expect((await house.client.getFunction(name)).state).toBe('live');
      const answer = await house.call(`/function/${name}`);
      expect(answer.status, answer.body).toBe(200);
      const { machine } = JSON.parse(answer.body) as { machine: string };
      expect(machine === first?.id).toBe(tier !== 'removed');
    }
    await removeAndWait(house, name);
    expect(await leftoversOf(house, name)).toEqual([]);
  });

  test('many first callers wake one machine, and the trace of a call shows who woke it', async () => {
    const name = uniqueName('crowd');
    await deployHello(house, name);
    await bringTo(house, name, 'removed');
    const traceId = 'c0'.repeat(16);
    const traced = { traceparent: `00-${traceId}-${'ab'.repeat(8)}-01` };
    const callers = [traced, ...Array.from({ length: 30 }, () => ({}))];
    const answers = await Promise.all(callers.map((headers) => house.call(`/function/${name}`, { headers })));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    const machines = answers.map(({ body }) => (JSON.parse(body) as { machine: string }).machine);
    expect(new Set(machines).size).toBe(1);
    await eventually(async () => {
      const { spans } = await house.client.getTrace(traceId);
      const waking = spans.filter((span) => span.name.includes('wake-function'));
      return ['gateway', 'machines'].every((room) => waking.some(({ service }) => service.endsWith(room)));
    });
    await removeAndWait(house, name);
  });

  test.each(byTurns(kind, changes))(
    'killed in the $act of a machine: the next call is answered by the only one, and nothing is left over',
    async ({ act, before, by }) => {
      const name = uniqueName(act);
      await deployHello(house, name);
      if (before !== 'running') await bringTo(house, name, before);
      await house.restart('machines', { failpoints: `driver-${act}:after-effect:kill` });
      // What ran when the platform stopped is stopped, until it is called.
      if (before === 'running') await callUntilAnswered(house, name);
      if (act === 'thaw') await bringTo(house, name, 'frozen');
      const set = by === 'call' ? house.call(`/function/${name}`) : changeScale(house, name, restIn[by]);
      const cut = Promise.allSettled([set]);
      expect((await house.process('machines').exited).signal).toBe('SIGKILL');
      await house.startMissing();
      // Where the gateway lives on, the call has waited for the room to come back.
      await cut;
      await changeScale(house, name, never);
      await callUntilAnswered(house, name);
      await expectOneMachineOf(house, name, 'one');
      await removeAndWait(house, name);
      expect(await leftoversOf(house, name)).toEqual([]);
    },
  );
});

/** Lets its machine rest as deep as `tier`, and then no deeper. */
async function bringTo(house: House, name: string, tier: Tier): Promise<void> {
  await changeScale(house, name, restIn[tier]);
  await eventually(async () => ((await machineOf(house, name))?.state ?? 'removed') === tier, {
    timeoutMs: 30_000,
  });
  await changeScale(house, name, never);
}

async function callUntilAnswered(house: House, name: string): Promise<void> {
  await eventually(async () => (await house.call(`/function/${name}`)).status === 200, { timeoutMs: 60_000 });
}

async function machineOf(house: House, name: string): Promise<Machine | undefined> {
  const { items } = await house.client.listMachines({ function: name });
  return items.find(({ state }) => state !== 'removed');
}
