import { setTimeout as sleep } from 'node:timers/promises';

import { AckPolicy, DeliverPolicy, jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  activitySubject,
  AdjustMachines,
  defaultDelivery,
  defaultScale,
  endpointsBucket,
  ListScaleDecisions,
  MachinesAdjusted,
  routesBucket,
  subjectOf,
  triggersBucket,
  type PayloadOf,
} from '#contracts';
import { connectNats, Messenger, Publisher } from '#messaging';
import { eventually, startTestServers, type TestServers } from '#testing';

import { scalerRoom } from './scaler.module.ts';

let servers: TestServers;
let nats: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let publisher: Publisher;
const rooms: RunningRoom[] = [];
const orders: PayloadOf<typeof AdjustMachines>[] = [];
let load: Record<string, number> = {};
let reporting: NodeJS.Timeout;
let name: string;
let count = 0;

/** Two rooms, as when one takes over from another; a look every 100 ms. */
beforeAll(async () => {
  servers = await startTestServers();
  nats = await connectNats(servers.natsUrl, 'test');
  publisher = new Publisher(nats);
  messenger = new Messenger(nats, publisher);
  const environment = {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('scaler'),
    CESTX_LOG_LEVEL: 'silent',
    CESTX_SCALE_SECONDS: '0.1',
  };
  rooms.push(await startRoom(scalerRoom, environment), await startRoom(scalerRoom, environment));
  messenger.listen(subjectOf(AdjustMachines), AdjustMachines.schema, (order) => orders.push(order));
});

beforeEach(async () => {
  orders.length = 0;
  name = `f${(count += 1)}`;
  load = {};
  report();
  await setScale({ target: 10, max: 5 });
  await addMachine('m1');
});

afterAll(async () => {
  clearInterval(reporting);
  for (const room of rooms) await room.stop();
  await nats?.close();
  await servers?.stop();
});

function report(): void {
  clearInterval(reporting);
  reporting = setInterval(() => {
    const functions = Object.entries(load).map(([one, concurrency]) => ({
      project: 'default',
      function: one,
      concurrency,
      waiting: 0,
      machines: [],
    }));
    messenger.tell(activitySubject('c1'), { caller: 'c1', functions });
  }, 100);
}

async function publish(subject: string, value: object): Promise<void> {
  await publisher.publish(subject, JSON.stringify(value));
}

async function setScale(scale: Partial<typeof defaultScale>): Promise<void> {
  await publish(`$KV.${routesBucket}.default.${name}`, {
    project: 'default',
    function: name,
    host: `${name}.localhost`,
    traffic: [{ revision: `${name}-v1`, percent: 100 }],
    timeout: 30_000,
    concurrency: 0,
    scale: { ...defaultScale, ...scale },
  });
}

async function addMachine(machine: string): Promise<void> {
  await publish(`$KV.${endpointsBucket}.default.${name}.${machine}`, {
    machine,
    revision: `${name}-v1`,
    address: '127.0.0.1:1',
    state: 'ready',
    concurrency: 0,
  });
}

it('more calls than its machines should take are answered with one order, however many rooms look, and with why', async () => {
  load = { [name]: 28 };
  const [order] = await eventually(() => orders.length > 0 && orders);
  expect(order).toMatchObject({ function: name, revision: `${name}-v1`, machines: 3 });
  await sleep(1000);
  expect(orders).toHaveLength(1);

  await publish(subjectOf(MachinesAdjusted, `default_${name}-v1`), {
    machines: 2,
    reason: 'no room for more',
  });
  const { items } = await eventually(async () => {
    const found = await messenger.ask(ListScaleDecisions, { project: 'default', function: name });
    return found.items[0]?.outcome ? found : false;
  });
  expect(items).toMatchObject([
    {
      from: 1,
      to: 3,
      panic: true,
      outcome: '2 running: no room for more',
      reason: expect.stringContaining('28 calls'),
    },
  ]);
  // Without room it is ordered again, but nothing new was decided.
  await eventually(() => orders.length > 1);
  expect(
    (await messenger.ask(ListScaleDecisions, { project: 'default', function: name })).items,
  ).toHaveLength(1);
});

it('min is ordered without a call, and a changed min at once', async () => {
  await setScale({ min: 2 });
  await eventually(() => orders.some((order) => order.function === name && order.machines === 2));
});

it('while nobody reports nothing is ordered, neither down to one nor up', async () => {
  await addMachine('m2');
  await addMachine('m3');
  clearInterval(reporting);
  await sleep(3300);
  orders.length = 0;
  await setScale({ max: 1 });
  await sleep(1000);
  expect(orders).toEqual([]);
  report();
  await eventually(() => orders.some((order) => order.function === name && order.machines === 1));
});

it('a function that is gone takes its decisions along, and the other room goes on when the first ends', async () => {
  load = { [name]: 28 };
  await eventually(() => orders.length > 0);
  await rooms.shift()?.stop();
  load = { [name]: 60 };
  await eventually(() => orders.some((order) => order.machines === 5));
  await publisher.publish(`$KV.${routesBucket}.default.${name}`, '', { headers: { 'KV-Operation': 'DEL' } });
  await eventually(async () => {
    const { items } = await messenger.ask(ListScaleDecisions, { project: 'default', function: name });
    return items.length === 0;
  });
});

it('events that wait bring the machines of their step, which stay until none is left; a count that cannot be had changes nothing', async () => {
  const steps = [
    { from: 100, machines: 5 },
    { from: 0, machines: 0 },
  ];
  const manager = await jetstreamManager(nats);
  const subject = `cestx.app.default.${name}`;
  await manager.consumers.add('APP', {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    filter_subject: subject,
  });
  await setScale({ metric: 'steps', steps, scaleDown: 'whenEmpty', max: 5 });
  const trigger = { kind: 'subject', id: 't', subject: [name], deliver: 'new' } as const;
  await publish(`$KV.${triggersBucket}.default.${name}`, {
    project: 'default',
    function: name,
    delivery: defaultDelivery,
    consumers: [{ stream: 'APP', durable: name, trigger, paused: false }],
  });
  for (let n = 0; n < 99; n++) await publish(subject, { n });
  await sleep(500);
  const mine = () => orders.filter((order) => order.function === name && order.machines > 0);
  expect(mine()).toEqual([]);
  await publish(subject, { n: 100 });
  await eventually(() => mine().length > 0);
  expect(mine()[0]).toMatchObject({ machines: 5, reason: expect.stringContaining('100 events') });

  for (const machine of ['m2', 'm3', 'm4', 'm5']) await addMachine(machine);
  await publish(subjectOf(MachinesAdjusted, `default_${name}-v1`), { machines: 5, reason: null });
  await manager.streams.purge('APP', { filter: subject, keep: 1 });
  await sleep(500);
  const lower = () => orders.filter((order) => order.function === name && order.machines === 0);
  expect(lower()).toEqual([]);
  await manager.consumers.delete('APP', name);
  await sleep(500);
  expect(lower()).toEqual([]);
  await manager.consumers.add('APP', {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.New,
    filter_subject: subject,
  });
  await eventually(() => lower().length > 0);
});
