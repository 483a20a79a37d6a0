import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  AdjustMachines,
  MachineChanged,
  MoveMachine,
  RemoveMachine,
  StartMachine,
  type CestxError,
} from '#contracts';
import { dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { call, RoomSurroundings, servingProgram } from './machines-room.fixture.ts';
import { machinesRoom } from './machines.module.ts';

let servers: TestServers;

beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(async () => {
  await servers?.stop();
});

describe.each(['process', 'docker'] as const)('machines that rest on %s', (driver) => {
  const skip = driver === 'docker' && !dockerAvailable();
  let around: RoomSurroundings;
  let room: RunningRoom | null = null;

  beforeAll(async () => {
    if (skip) return;
    around = await RoomSurroundings.open(driver, servers, 'rest-test');
    room = await startRoom(machinesRoom, around.environment);
  });
  afterEach(async () => {
    if (skip) return;
    await around.removeRoute();
    for (const { id } of await around.machines()) await around.order(RemoveMachine, { machineId: id });
    const left = await around.leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });
  afterAll(async () => {
    await room?.stop();
    await around?.close();
  });

  test.skipIf(skip)(
    '50 who ask at once for a machine get the same one, frozen, stopped or crashed',
    async () => {
      await around.setRoute({});
      const command = await around.startCommand(servingProgram());
      const { machineId } = command;
      await around.order(StartMachine, command);
      for (const to of ['frozen', 'stopped'] as const) {
        expect(await around.order(MoveMachine, { machineId, to })).toEqual({
          done: { machineId, state: to },
        });
        await eventually(() => !around.endpoints.has(machineId));
        const woken = await Promise.all(Array.from({ length: 50 }, () => around.wake()));
        expect(new Set(woken.map(({ endpoint, from }) => `${endpoint.machine} ${from}`))).toEqual(
          new Set([`${machineId} ${to}`]),
        );
        expect(await call(woken[0]?.endpoint.address ?? '')).toBe('hello');
        await eventually(() => around.endpoints.get(machineId)?.state === 'ready');
        expect(await around.states()).toEqual(['running']);
      }
      const { endpoint } = await around.wake();
      await call(endpoint.address, '/crash');
      await eventually(async () => (await around.states())[0] !== 'running');
      const again = await around.wake();
      expect(await call(again.endpoint.address)).toBe('hello');
      expect(await around.leftovers()).toHaveLength(1);
    },
  );

  const goesToRest = { freezeAfter: 300, stopAfter: 900, removeAfter: 1500 };

  test.skipIf(skip)(
    'a machine nobody calls is frozen, stopped and removed, and 50 who ask then get one that is made anew',
    async () => {
      const command = await around.startCommand(servingProgram());
      await around.order(StartMachine, command);
      const seen: string[] = [];
      const stop = around.messenger.subscribe(MachineChanged, command.machineId, ({ state }) =>
        seen.push(state),
      );
      await around.setRoute(goesToRest);
      await eventually(async () => (await around.machines()).length === 0);
      stop();
      // That it runs may be told after the end of the command that started it.
      const states = [...new Set(seen)].filter((state) => state !== 'running');
      expect(states).toEqual(['frozen', 'stopped', 'removed']);
      expect(await around.leftovers()).toEqual([]);
      await around.setRoute({});
      const woken = await Promise.all(Array.from({ length: 50 }, () => around.wake()));
      expect(new Set(woken.map(({ endpoint }) => endpoint.machine)).size).toBe(1);
      expect(woken[0]?.from).toBe('absent');
      expect(await call(woken[0]?.endpoint.address ?? '')).toBe('hello');
      expect(await around.leftovers()).toHaveLength(1);
    },
  );

  // What follows is the room's own doing, whatever the machines run on.
  if (driver === 'docker') return;

  test.skipIf(skip)(
    'a machine stays up while a call is in flight or a caller does not say, and a call that comes while it drains keeps it up',
    async () => {
      const command = await around.startCommand(servingProgram());
      const { machineId } = command;
      await around.order(StartMachine, command);
      const changes: string[] = [];
      const stop = around.messenger.subscribe(MachineChanged, machineId, ({ state }) => changes.push(state));
      const caller = around.startCaller('a');
      const other = around.startCaller('b');
      try {
        caller.calls = 1;
        await around.setRoute({ ...goesToRest, stopAfter: 60_000 });
        const askedTwice = async () => {
          const before = caller.asked;
          await eventually(() => caller.asked > before + 1);
        };
        await askedTwice();
        caller.calls = 0;
        other.silent = true;
        await askedTwice();
        await around.setRoute({});
        caller.calls = 1;
        other.silent = false;
        const moved = around.order(MoveMachine, { machineId, to: 'frozen' });
        await eventually(() => around.endpoints.get(machineId)?.state === 'draining');
        expect(await around.wake()).toMatchObject({ from: 'running', endpoint: { machine: machineId } });
        expect(await moved).toEqual({ done: { machineId, state: 'running' } });
        await eventually(() => around.endpoints.get(machineId)?.state === 'ready');
        expect(changes.filter((state) => state !== 'running')).toEqual([]);
        caller.calls = 0;
        expect(await around.order(MoveMachine, { machineId, to: 'frozen' })).toMatchObject({
          done: { state: 'frozen' },
        });
      } finally {
        stop();
        caller.stop();
        other.stop();
      }
    },
  );

  test.skipIf(skip)(
    'a changed timeout counts from the change; as many as min stay up, and come back',
    async () => {
      const command = await around.startCommand(servingProgram());
      await around.order(StartMachine, command);
      const changedAt = Date.now();
      await around.setRoute({ freezeAfter: 1000 });
      await eventually(async () => (await around.states())[0] === 'frozen');
      const [frozen] = await around.machines();
      expect(Date.parse(frozen?.since ?? '')).toBeGreaterThanOrEqual(changedAt + 1000);
      await around.setRoute({ ...goesToRest, min: 2 });
      const up = () => eventually(async () => (await around.states()).join() === 'running,running');
      await up();
      await eventually(() => around.endpoints.size === 2);
      await call([...around.endpoints.values()][0]?.address ?? '', '/crash');
      await eventually(async () => (await around.states()).join() !== 'running,running');
      await up();
    },
  );

  test.skipIf(skip)(
    'the number of machines is what was ordered last, however often, and never below min',
    async () => {
      await around.setRoute({ min: 1 });
      const command = await around.startCommand(servingProgram());
      await around.order(StartMachine, command);
      const { project, function: name, revision } = command;
      const adjust = (machines: number) =>
        around.order(AdjustMachines, { project, function: name, revision, machines, reason: 'a test' });
      const both = await Promise.all([adjust(3), adjust(3)]);
      expect(both).toEqual([3, 3].map((machines) => ({ done: { machines, reason: null } })));
      const made = (await around.machines()).map(({ id }) => id);
      expect(made).toHaveLength(3);
      expect(await adjust(0)).toEqual({ done: { machines: 1, reason: null } });
      await eventually(async () => (await around.states()).toSorted().join() === 'frozen,frozen,running');
      expect(await adjust(3)).toEqual({ done: { machines: 3, reason: null } });
      expect((await around.machines()).map(({ id }) => id)).toEqual(made);
      await eventually(
        () => [...around.endpoints.values()].filter(({ state }) => state === 'ready').length === 3,
      );
    },
  );

  test.skipIf(skip)(
    'who asks for a machine that ends again and again is told so with its last lines',
    async () => {
      await around.setRoute({});
      const command = await around.startCommand(
        servingProgram(`setTimeout(() => { console.log('out of luck'); process.exit(3); }, 200)`),
      );
      await around.order(StartMachine, command);
      const failure = await eventually(() =>
        around.wake().then(
          () => null,
          (error: unknown) => error as CestxError,
        ),
      );
      expect(failure.code).toBe('start-failed');
      expect(failure.message).toContain('exited with code 3');
      expect(failure.lastLines).toContain('out of luck');
    },
  );

  test.skipIf(skip)(
    'after a stop of the platform a function with a route and no min comes back with its first call',
    async () => {
      await around.setRoute({});
      await around.order(StartMachine, await around.startCommand(servingProgram()));
      await room?.stop();
      room = await startRoom(machinesRoom, around.environment);
      const { endpoint, from } = await around.wake();
      expect([from, await call(endpoint.address)]).toEqual(['stopped', 'hello']);
    },
  );

  test.skipIf(skip)('a revision that is not here cannot be woken', async () => {
    await expect(around.wake(7)).rejects.toMatchObject({ code: 'not-found' });
  });
});
