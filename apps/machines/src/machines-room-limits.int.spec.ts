import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  GetCapacity,
  GetMachine,
  ListMachines,
  ListMachineSamples,
  MachineExited,
  MoveMachine,
  machineSampleSchema,
  RemoveMachine,
  StartMachine,
  statsSubject,
  WaitForMachine,
  type MachineSample,
  type PayloadOf,
} from '#contracts';
import { dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { addressOf, call, failureOf, RoomSurroundings, servingProgram } from './machines-room.fixture.ts';
import { machinesRoom } from './machines.module.ts';

const mebibyte = 1024 ** 2;
const patient = { timeoutMs: 30_000 };

let servers: TestServers;
let around: RoomSurroundings;
let room: RunningRoom;

beforeAll(async () => {
  servers = await startTestServers();
  around = await RoomSurroundings.open(dockerAvailable() ? 'docker' : 'process', servers, 'limits-test');
  room = await startRoom(machinesRoom, {
    ...around.environment,
    CESTX_HOST_MACHINES: '2',
    CESTX_PROJECT_MEMORY: '300Mi',
    CESTX_SAMPLE_MS: '100',
  });
});
afterEach(async () => {
  await around.removeRoute();
  const { items } = await around.messenger.ask(ListMachines, {});
  await Promise.all(items.map(({ id }) => around.order(RemoveMachine, { machineId: id })));
  const left = await around.leftovers();
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
});
afterAll(async () => {
  await room?.stop();
  await around?.close();
  await servers?.stop();
});

test('a running machine is measured, live and kept, and what is kept can still be read when it is gone', async () => {
  const command = await around.startCommand(servingProgram());
  const { machineId } = command;
  const live: MachineSample[] = [];
  const stop = around.messenger.listen(
    statsSubject('default', 'limits-test', machineId),
    machineSampleSchema,
    (sample) => live.push(sample),
  );
  await around.order(StartMachine, command);
  await eventually(() => live.length >= 3);
  stop();
  expect(live[0]).toMatchObject({ machine: machineId, revision: 'limits-test-v1', cpu: null });
  expect(live[2]?.cpu).toBeGreaterThanOrEqual(0);
  expect(live[2]?.memoryBytes).toBeGreaterThan(mebibyte);
  expect(live[2]?.memoryLimitBytes).toBe(128 * mebibyte);
  await around.order(RemoveMachine, { machineId });
  const { items } = await around.messenger.ask(ListMachineSamples, { machineId });
  expect(items.slice(0, 3)).toEqual(live.slice(0, 3));
  const newest = await around.messenger.ask(ListMachineSamples, { machineId, limit: 1 });
  expect(newest.items).toEqual(items.slice(-1));
  const since = await around.messenger.ask(ListMachineSamples, { machineId, since: items[1]?.at });
  expect(since.items.length).toBeLessThan(items.length);
});

test('who waits for a machine hears of it in its state, in time or not, and when it is gone instead', async () => {
  const command = await around.startCommand(
    `setTimeout(() => { ${servingProgram()} }, 700); setInterval(() => {}, 1000)`,
  );
  const { machineId } = command;
  const wait = (state: 'running' | 'frozen' | 'removed', timeoutMs = 20_000) =>
    around.messenger.ask(WaitForMachine, { machineId, state, timeoutMs }, { timeoutMs: timeoutMs + 5000 });
  await expect(wait('running')).rejects.toMatchObject({ code: 'not-found' });
  const starting = around.order(StartMachine, command);
  await eventually(() => around.messenger.ask(GetMachine, { machineId }).catch(() => null));
  const running = await wait('running');
  expect(running).toMatchObject({ id: machineId, state: 'running', address: expect.any(String) });
  expect(await around.messenger.ask(GetMachine, { machineId })).toEqual(running);
  await starting;
  await expect(wait('frozen', 50)).rejects.toMatchObject({
    code: 'wait-timeout',
    message: `The machine ${machineId} is running, and did not get frozen within 0.05 s.`,
  });
  const [removed, frozen] = [wait('removed'), wait('frozen')];
  await Promise.all([
    around.order(RemoveMachine, { machineId }),
    expect(removed).resolves.toMatchObject({ id: machineId, state: 'removed', address: null }),
    expect(frozen).rejects.toMatchObject({ code: 'not-found' }),
  ]);
});

test('of machines that start at once no more get up than fit; the others are refused before anything is made', async () => {
  const command = await around.startCommand(servingProgram());
  const commands = ['m-1', 'm-2', 'm-3'].map((machineId) => ({ ...command, machineId }));
  const ends = await Promise.all(commands.map((command) => around.order(StartMachine, command)));
  const refused = ends.filter((end) => 'failed' in end);
  expect(refused).toHaveLength(1);
  // Of both limits that are reached the project's is named: its owner can do something about it.
  expect(failureOf(refused[0] ?? {})).toMatchObject({
    code: 'over-quota',
    message:
      'The project default gives its machines 300 MiB, of which 256 MiB is taken, and a machine of limits-test needs 128 MiB of memory.',
  });
  expect(await around.leftovers()).toHaveLength(2);
  const all = await around.machines();
  const page = await around.messenger.ask(ListMachines, { function: 'limits-test', limit: 1 });
  const rest = await around.messenger.ask(ListMachines, {
    function: 'limits-test',
    cursor: page.nextCursor ?? '',
  });
  expect([...page.items, ...rest.items]).toEqual(all);
  expect([page.items.length, rest.nextCursor]).toEqual([1, null]);
  const other = { ...command, machineId: 'm-other', project: 'other' };
  expect(failureOf(await around.order(StartMachine, other))).toMatchObject({
    code: 'no-capacity',
    message: 'The host may have 2 machines up at a time, and 2 are.',
  });
  expect(await around.messenger.ask(GetCapacity, {})).toMatchObject({
    memoryBytes: { used: 256 * mebibyte },
    machines: { total: 2, used: 2 },
  });
  const up = commands[ends.findIndex((end) => 'done' in end)];
  await around.order(RemoveMachine, { machineId: up?.machineId ?? '' });
  expect(await around.order(StartMachine, { ...command, machineId: 'm-again' })).toHaveProperty('done');
});

test('a frozen machine is stopped when another needs its room, and is started when it is called and there is room again', async () => {
  const first = await around.startCommand(servingProgram());
  const second = { ...first, machineId: 'm-second', revision: 'limits-test-v2' };
  const third = { ...first, machineId: 'm-third', revision: 'limits-test-v3' };
  await around.order(StartMachine, first);
  await around.order(StartMachine, second);
  await around.order(MoveMachine, { machineId: first.machineId, to: 'frozen' });
  expect(await around.order(StartMachine, third)).toHaveProperty('done');
  expect(await around.messenger.ask(GetMachine, { machineId: first.machineId })).toMatchObject({
    state: 'stopped',
    reason: 'It made room for another machine.',
  });
  await expect(around.wake(1)).rejects.toMatchObject({ code: 'over-quota' });
  await around.order(RemoveMachine, { machineId: third.machineId });
  expect(await around.wake(1)).toMatchObject({ from: 'stopped', endpoint: { machine: first.machineId } });
  await around.order(RemoveMachine, { machineId: first.machineId, keepRevision: true });
  expect(await around.wake(1)).toMatchObject({ from: 'absent' });
});

test('a machine that expires is gone, and one that is needed has another in its place first', async () => {
  const command = await around.startCommand(servingProgram());
  const { machineId } = command;
  // As in a deployment, which makes its machine before its route.
  await around.order(StartMachine, command);
  await around.setRoute({ min: 1, expiresAfter: 3_600_000 });
  await eventually(async () => (await around.machines())[0]?.expiresAt);
  const before = new Date();
  await around.setRoute({ min: 1, expiresAfter: 3000 });
  const other = await eventually(async () => {
    const all = await around.machines();
    return !all.some(({ id }) => id === machineId) && all.find(({ state }) => state === 'running');
  }, patient);
  expect(Date.parse(other.createdAt)).toBeGreaterThan(before.getTime());
  expect(Date.parse(other.expiresAt ?? '') - Date.parse(other.createdAt)).toBe(3000);
  await around.setRoute({ min: 0, freezeAfter: 0, expiresAfter: 1000 });
  await eventually(async () => (await around.machines()).length === 0, patient);
});

test('a machine that used more than its memory is told of as such', async () => {
  const eats = `
    require('node:http').createServer((q, r) => {
      if (q.url === '/eat') { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)); }
      r.end('hello');
    }).listen(process.env.PORT, '0.0.0.0');`;
  const command = await around.startCommand(eats);
  const exits: PayloadOf<typeof MachineExited>[] = [];
  const stop = around.messenger.subscribe(MachineExited, command.machineId, (event) => exits.push(event));
  const address = addressOf(await around.order(StartMachine, command));
  await call(address, '/eat').catch(() => undefined);
  await eventually(() => exits[0], patient);
  stop();
  expect(exits[0]?.reason).toBe('The program was killed for using more than its 128 MiB of memory.');
});
