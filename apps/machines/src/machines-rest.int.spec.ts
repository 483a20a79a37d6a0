import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import { MoveMachine, RemoveMachine, StartMachine } from '#contracts';
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
});
