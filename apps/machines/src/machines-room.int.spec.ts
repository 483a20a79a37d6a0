import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  DrainMachines,
  GetDriver,
  inFlightRequestSchema,
  inFlightSubject,
  ListMachines,
  MachineExited,
  RemoveMachine,
  StartMachine,
  type PayloadOf,
} from '#contracts';
import { dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { addressOf, call, failureOf, RoomSurroundings, servingProgram } from './machines-room.fixture.ts';
import { machinesRoom } from './machines.module.ts';

let servers: TestServers;

beforeAll(async () => {
  servers = await startTestServers();
});
afterAll(async () => {
  await servers?.stop();
});

describe.each(['process', 'docker'] as const)('machines room on %s', (driver) => {
  const skip = driver === 'docker' && !dockerAvailable();
  let around: RoomSurroundings;
  let room: RunningRoom | null = null;

  const open = async (more: Record<string, string> = {}): Promise<void> => {
    room = await startRoom(machinesRoom, { ...around.environment, ...more });
  };
  const close = async (): Promise<void> => {
    await room?.stop();
    room = null;
  };

  beforeAll(async () => {
    if (skip) return;
    around = await RoomSurroundings.open(driver, servers, 'room-test');
    await open();
  });
  afterEach(async () => {
    if (skip) return;
    if (!room) await open();
    const { items } = await around.messenger.ask(ListMachines, {});
    for (const { id } of items) await around.order(RemoveMachine, { machineId: id });
    const left = await around.leftovers();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });
  afterAll(async () => {
    await close();
    await around?.close();
  });

  /** The texts on the feed, after a look at their numbers: no gap, no repetition. */
  async function textsOf(id: string): Promise<string[]> {
    const lines = await around.linesOf(id);
    expect(lines.map(({ position }) => position)).toEqual(lines.map((_, index) => index + 1));
    return lines.map(({ text }) => text);
  }

  test.skipIf(skip)(
    'a started machine answers, is listed, can be called by others, and its lines are on the feed',
    async () => {
      const command = await around.startCommand(servingProgram());
      const address = addressOf(await around.order(StartMachine, command));
      expect(await call(address)).toBe('hello');
      const id = command.machineId;
      await eventually(() => around.endpoints.get(id));
      expect(around.endpoints.get(id)).toEqual({
        machine: id,
        revision: 'room-test-v1',
        address,
        state: 'ready',
        concurrency: 3,
      });
      const { items } = await around.messenger.ask(ListMachines, { function: 'room-test' });
      expect(items).toMatchObject([{ id, driver, state: 'running', address }]);
      expect(await around.messenger.ask(GetDriver, {})).toMatchObject({
        driver,
        reason: 'It was asked for.',
      });
      await eventually(async () => (await around.linesOf(id)).length > 0);
      expect(await textsOf(id)).toEqual(['first line']);
      await around.order(RemoveMachine, { machineId: id });
      await eventually(() => !around.endpoints.has(id));
      expect(await textsOf(id)).toEqual(['first line', 'asked to end']);
    },
  );

  test.skipIf(skip)('a start ordered twice makes one machine', async () => {
    const command = await around.startCommand(servingProgram());
    const [first, second] = await Promise.all([
      around.order(StartMachine, command),
      around.order(StartMachine, command),
    ]);
    expect(addressOf(first)).toBe(addressOf(second));
    expect(await around.leftovers()).toHaveLength(1);
  });

  test.skipIf(skip)('a machine removed before its start is never started', async () => {
    const command = await around.startCommand(servingProgram());
    expect(await around.order(RemoveMachine, { machineId: command.machineId })).toHaveProperty('done');
    expect(failureOf(await around.order(StartMachine, command)).code).toBe('undone');
    expect(await around.leftovers()).toEqual([]);
  });

  test.skipIf(skip)(
    'a removal does not wait for a start that is under way, and leaves nothing of it',
    async () => {
      const command = await around.startCommand('setInterval(() => {}, 1000)', { startup: 60_000 });
      const starting = around.order(StartMachine, command);
      await eventually(async () => (await around.leftovers()).length === 1);
      const began = Date.now();
      await around.order(RemoveMachine, { machineId: command.machineId });
      expect(failureOf(await starting).code).toBe('undone');
      expect(Date.now() - began).toBeLessThan(15_000);
      expect(await around.leftovers()).toEqual([]);
    },
  );

  test.skipIf(skip)(
    'a program that ends at once fails the start with its last lines, and leaves nothing',
    async () => {
      const command = await around.startCommand(
        `console.log('going'); console.error('no such module'); process.exit(1);`,
      );
      const failure = failureOf(await around.order(StartMachine, command));
      expect(failure.code).toBe('start-failed');
      expect(failure.message).toContain('exited with code 1');
      expect([...(failure.lastLines ?? [])].sort()).toEqual(['going', 'no such module']);
      expect((await textsOf(command.machineId)).sort()).toEqual(['going', 'no such module']);
      expect(await around.leftovers()).toEqual([]);
      expect((await around.messenger.ask(ListMachines, {})).items).toEqual([]);
      expect(failureOf(await around.order(StartMachine, command))).toEqual(failure);
    },
  );

  test.skipIf(skip)('a program that never listens, and one on a wrong port, are told apart', async () => {
    const [silent, wrong] = await Promise.all([
      around.order(StartMachine, await around.startCommand('setInterval(() => {}, 1000)', { startup: 1500 })),
      around.order(
        StartMachine,
        await around.startCommand(`require('node:http').createServer().listen(31986, '0.0.0.0')`, {
          startup: 3000,
        }),
      ),
    ]);
    expect(failureOf(silent).message).toContain('listened on no port within 1.5 s');
    expect(failureOf(wrong).message).toContain('listens on 31986 instead of');
    expect(await around.leftovers()).toEqual([]);
  });

  test.skipIf(skip)('a health path decides when there is one', async () => {
    const program = `const began = Date.now(); require('node:http').createServer((q, r) => {
      r.statusCode = q.url === '/late' && Date.now() - began > 500 ? 204 : 503; r.end();
    }).listen(process.env.PORT, '0.0.0.0')`;
    const [late, never] = await Promise.all([
      around.order(StartMachine, await around.startCommand(program, { path: '/late' })),
      around.order(StartMachine, await around.startCommand(program, { path: '/never', startup: 1500 })),
    ]);
    expect(late).toHaveProperty('done');
    expect(failureOf(never).message).toContain('GET /never still answered 503');
  });

  test.skipIf(skip)(
    'a machine that crashes is told of with its last lines, leaves the table, and comes back',
    async () => {
      const command = await around.startCommand(servingProgram());
      const { machineId: id } = command;
      const exits: PayloadOf<typeof MachineExited>[] = [];
      const stop = around.messenger.subscribe(MachineExited, id, (event) => exits.push(event));
      const address = addressOf(await around.order(StartMachine, command));
      await eventually(() => around.endpoints.get(id));
      await call(address, '/crash');
      await eventually(() => exits[0]);
      stop();
      expect(exits[0]).toMatchObject({
        machineId: id,
        exitCode: 7,
        reason: 'The program exited with code 7.',
      });
      expect(exits[0]?.lastLines.at(-1)).toBe('last words');
      await eventually(async () => {
        const now = around.endpoints.get(id)?.address;
        return now !== undefined && (await call(now)) === 'hello';
      });
      expect(await around.leftovers()).toHaveLength(1);
      await eventually(async () => (await around.linesOf(id)).length === 3);
      expect(await textsOf(id)).toEqual(['first line', 'last words', 'first line']);
    },
  );

  test.skipIf(skip)(
    'draining waits for calls in flight, keeps the wanted revision, and removes the rest',
    async () => {
      const old = await around.startCommand(servingProgram());
      const fresh = await around.startCommand(servingProgram(), { version: 2 });
      await around.order(StartMachine, old);
      await around.order(StartMachine, fresh);
      await eventually(() => around.endpoints.has(old.machineId) && around.endpoints.has(fresh.machineId));
      let calls = 1;
      const asked: string[] = [];
      around.messenger.answerAll(inFlightSubject, inFlightRequestSchema, ({ machine }) => {
        asked.push(machine);
        return { calls: machine === old.machineId ? calls : 0, open: false };
      });
      const draining = around.order(DrainMachines, {
        project: 'default',
        function: 'room-test',
        keepRevision: 'room-test-v2',
        patience: 30_000,
      });
      await eventually(() => around.endpoints.get(old.machineId)?.state === 'draining' && asked.length > 1);
      expect(await around.leftovers()).toHaveLength(2);
      calls = 0;
      expect(await draining).toEqual({ done: { machineIds: [old.machineId] } });
      await eventually(() => !around.endpoints.has(old.machineId));
      expect(around.endpoints.get(fresh.machineId)?.state).toBe('ready');
      expect(await around.leftovers()).toHaveLength(1);
    },
  );

  test.skipIf(skip)(
    'after a stop of the platform its machines are down, and come back with it by themselves',
    async () => {
      const command = await around.startCommand(servingProgram());
      const { machineId: id } = command;
      await around.order(StartMachine, command);
      await eventually(() => around.endpoints.has(id));
      await close();
      await open();
      const { address } = await eventually(() => around.endpoints.get(id));
      await eventually(async () => (await call(address)) === 'hello');
      await eventually(async () => (await around.linesOf(id)).length === 3);
      expect(await textsOf(id)).toEqual(['first line', 'asked to end', 'first line']);
    },
  );

  // Processes end with the platform whatever is asked.
  if (driver === 'docker') {
    test.skipIf(skip)(
      'machines are kept when that was asked for, and no line is lost or repeated',
      async () => {
        await close();
        await open({ CESTX_KEEP_MACHINES: 'true' });
        const command = await around.startCommand(
          servingProgram(`let n = 0; setInterval(() => console.log('tick ' + ++n), 20);`),
        );
        const { machineId: id } = command;
        const address = addressOf(await around.order(StartMachine, command));
        await eventually(async () => (await around.linesOf(id)).length > 10);
        await close();
        expect(await call(address)).toBe('hello');
        await new Promise((resolve) => setTimeout(resolve, 500));
        await open();
        const before = (await around.linesOf(id)).length;
        await eventually(async () => (await around.linesOf(id)).length > before + 30);
        expect(around.endpoints.get(id)?.address).toBe(address);
        await around.order(RemoveMachine, { machineId: id });
        const ticks = (await textsOf(id)).filter((text) => text.startsWith('tick'));
        expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
      },
    );
  }
});
