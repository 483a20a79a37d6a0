import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  DrainMachines,
  endpointSchema,
  endpointsBucket,
  feedLineSchema,
  GetDriver,
  inFlightRequestSchema,
  inFlightSubject,
  ListMachines,
  logSubject,
  MachineExited,
  RemoveMachine,
  StartMachine,
  type Artifact,
  type CommandType,
  type Endpoint,
  type Failure,
  type FeedLine,
  type PayloadOf,
} from '#contracts';
import { connectNats, Feeds, KeyValues, Messenger, Publisher } from '#messaging';
import { baseImage, dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { connectToEngine } from './drivers/docker.driver.ts';
import { machinesRoom } from './machines.module.ts';

const docker = connectToEngine('unix:///var/run/docker.sock');
const images: string[] = [];
const serving = (more = ''): string => `
  console.log('first line');
  require('node:http').createServer((q, r) => {
    if (q.url === '/crash') { console.error('last words'); setTimeout(() => process.exit(7), 10); }
    r.end('hello');
  }).listen(process.env.PORT, '0.0.0.0');
  process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });
  ${more}
`;

let servers: TestServers;
let connection: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let feeds: Feeds;
const endpoints = new Map<string, Endpoint>();

beforeAll(async () => {
  servers = await startTestServers();
  await chmod(servers.dataDir, 0o755);
});
afterAll(async () => {
  await connection?.close();
  await servers?.stop();
});

describe.each(['process', 'docker'] as const)('machines room on %s', (driver) => {
  const skip = driver === 'docker' && !dockerAvailable();
  let data: string;
  let room: RunningRoom | null = null;

  const environment = async () => ({
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('machines'),
    CESTX_DATA: data,
    CESTX_DRIVER: driver,
    CESTX_LOG_LEVEL: 'silent',
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
  });
  const open = async (more: Record<string, string> = {}): Promise<void> => {
    room = await startRoom(machinesRoom, { ...(await environment()), ...more });
  };
  const close = async (): Promise<void> => {
    await room?.stop();
    room = null;
  };

  beforeAll(async () => {
    if (skip) return;
    data = await mkdtemp(join(tmpdir(), 'cestx-machines-'));
    await chmod(data, 0o755);
    await open();
    if (connection) return;
    connection = await connectNats(servers.natsUrl, 'test');
    messenger = new Messenger(connection, new Publisher(connection));
    feeds = new Feeds(connection, new Publisher(connection));
    await new KeyValues(connection).watch(endpointsBucket, endpointSchema, (key, value) => {
      if (value) endpoints.set(key, value);
      else endpoints.delete(key);
    });
  });
  afterEach(async () => {
    if (skip) return;
    if (!room) await open();
    const { items } = await messenger.ask(ListMachines, {});
    for (const { id } of items) await order(RemoveMachine, { machineId: id });
    expect(await leftovers()).toEqual([]);
  });
  afterAll(async () => {
    await close();
    for (const image of images.splice(0)) await docker.getImage(image).remove({ force: true });
    if (data) await rm(data, { recursive: true, force: true });
  });

  /** Machines that exist for real, whatever the room says. */
  async function leftovers(): Promise<string[]> {
    if (driver === 'process') return readdir(join(data, 'machines'));
    const all = await docker.listContainers({ all: true, filters: { label: ['cestx.function=room-test'] } });
    return all.map(({ Names }) => String(Names[0]));
  }

  async function artifactOf(program: string): Promise<Artifact> {
    if (driver === 'docker') {
      const container = await docker.createContainer({
        Image: baseImage,
        Cmd: ['node', '-e', program],
        Entrypoint: [],
      });
      const { Id: image } = (await container.commit()) as { Id: string };
      await container.remove();
      images.push(image);
      return { kind: 'image', image };
    }
    const path = join(data, 'artifacts', randomUUID());
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'main.cjs'), program);
    return { kind: 'directory', path, command: ['node', 'main.cjs'] };
  }

  async function startCommand(
    program: string,
    more: { startup?: number; revision?: string; path?: string } = {},
  ): Promise<PayloadOf<typeof StartMachine>> {
    return {
      machineId: `m-${randomUUID().slice(0, 12)}`,
      project: 'default',
      function: 'room-test',
      revision: more.revision ?? 'room-test-v1',
      artifact: await artifactOf(program),
      settings: {
        env: {},
        resources: { cpu: 1, memory: 128 * 1024 ** 2, pids: 64 },
        concurrency: 3,
        timeout: 30_000,
        health: { startup: more.startup ?? 15_000, ...(more.path ? { path: more.path } : {}) },
      },
    };
  }

  type End<C extends CommandType> = { done: PayloadOf<C['done']> } | { failed: Failure };
  /** Sends a command and waits for the one of its two events that it ends in. */
  async function order<C extends CommandType>(command: C, payload: PayloadOf<C>): Promise<End<C>> {
    const id = randomUUID();
    let stop: (() => void)[] = [];
    const ended = new Promise<End<C>>((resolve) => {
      stop = [
        messenger.subscribe(command.done, id, (done) => resolve({ done: done as PayloadOf<C['done']> })),
        messenger.subscribe(command.failed, id, (failed) => resolve({ failed })),
      ];
    });
    try {
      await messenger.send(command, id, payload);
      return await ended;
    } finally {
      for (const each of stop) each();
    }
  }
  function failureOf(end: object): Failure {
    expect(end).toHaveProperty('failed');
    return (end as { failed: Failure }).failed;
  }
  function addressOf(end: object): string {
    expect(end).toHaveProperty('done');
    return (end as { done: { address: string } }).done.address;
  }
  const keyOf = (id: string): string => `default.room-test.${id}`;
  const call = async (address: string, path = '/'): Promise<string> =>
    (await fetch(`http://${address}${path}`)).text();
  async function linesOf(id: string): Promise<FeedLine[]> {
    const items = await feeds.read(logSubject('default', 'room-test', id), feedLineSchema);
    return items.map(({ value }) => value);
  }
  async function hasGapless(id: string): Promise<string[]> {
    const lines = await linesOf(id);
    expect(lines.map(({ position }) => position)).toEqual(lines.map((_, index) => index + 1));
    return lines.map(({ text }) => text);
  }

  test.skipIf(skip)(
    'a started machine answers, is listed, can be called by others, and its lines are on the feed',
    async () => {
      const command = await startCommand(serving());
      const address = addressOf(await order(StartMachine, command));
      expect(await call(address)).toBe('hello');
      const id = command.machineId;
      await eventually(() => endpoints.get(keyOf(id)));
      expect(endpoints.get(keyOf(id))).toEqual({
        machine: id,
        revision: 'room-test-v1',
        address,
        state: 'ready',
        concurrency: 3,
      });
      const { items } = await messenger.ask(ListMachines, { function: 'room-test' });
      expect(items).toMatchObject([{ id, driver, state: 'running', address }]);
      expect(await messenger.ask(GetDriver, {})).toMatchObject({ driver, reason: 'It was asked for.' });
      await eventually(async () => (await linesOf(id)).length > 0);
      expect(await hasGapless(id)).toEqual(['first line']);
      await order(RemoveMachine, { machineId: id });
      await eventually(() => !endpoints.has(keyOf(id)));
      expect(await hasGapless(id)).toEqual(['first line', 'asked to end']);
    },
  );

  test.skipIf(skip)('a start ordered twice makes one machine', async () => {
    const command = await startCommand(serving());
    const [first, second] = await Promise.all([order(StartMachine, command), order(StartMachine, command)]);
    expect(addressOf(first)).toBe(addressOf(second));
    expect(await leftovers()).toHaveLength(1);
  });

  test.skipIf(skip)('a machine removed before its start is never started', async () => {
    const command = await startCommand(serving());
    expect(await order(RemoveMachine, { machineId: command.machineId })).toHaveProperty('done');
    expect(failureOf(await order(StartMachine, command)).code).toBe('undone');
    expect(await leftovers()).toEqual([]);
  });

  test.skipIf(skip)(
    'a removal does not wait for a start that is under way, and leaves nothing of it',
    async () => {
      const command = await startCommand('setInterval(() => {}, 1000)', { startup: 60_000 });
      const starting = order(StartMachine, command);
      await eventually(async () => (await leftovers()).length === 1);
      const began = Date.now();
      await order(RemoveMachine, { machineId: command.machineId });
      expect(failureOf(await starting).code).toBe('undone');
      expect(Date.now() - began).toBeLessThan(15_000);
      expect(await leftovers()).toEqual([]);
    },
  );

  test.skipIf(skip)(
    'a program that ends at once fails the start with its last lines, and leaves nothing',
    async () => {
      const command = await startCommand(
        `console.log('going'); console.error('no such module'); process.exit(1);`,
      );
      const failure = failureOf(await order(StartMachine, command));
      expect(failure.code).toBe('start-failed');
      expect(failure.message).toContain('exited with code 1');
      expect([...(failure.lastLines ?? [])].sort()).toEqual(['going', 'no such module']);
      expect((await hasGapless(command.machineId)).sort()).toEqual(['going', 'no such module']);
      expect(await leftovers()).toEqual([]);
      expect((await messenger.ask(ListMachines, {})).items).toEqual([]);
      expect(failureOf(await order(StartMachine, command))).toEqual(failure);
    },
  );

  test.skipIf(skip)('a program that never listens, and one on a wrong port, are told apart', async () => {
    const [silent, wrong] = await Promise.all([
      order(StartMachine, await startCommand('setInterval(() => {}, 1000)', { startup: 1500 })),
      order(
        StartMachine,
        await startCommand(`require('node:http').createServer().listen(31986, '0.0.0.0')`, { startup: 1500 }),
      ),
    ]);
    expect(failureOf(silent).message).toContain('listened on no port within 1.5 s');
    expect(failureOf(wrong).message).toContain('listens on 31986 instead of');
    expect(await leftovers()).toEqual([]);
  });

  test.skipIf(skip)('a health path decides when there is one', async () => {
    const program = `const began = Date.now(); require('node:http').createServer((q, r) => {
      r.statusCode = q.url === '/late' && Date.now() - began > 500 ? 204 : 503; r.end();
    }).listen(process.env.PORT, '0.0.0.0')`;
    const [late, never] = await Promise.all([
      order(StartMachine, await startCommand(program, { path: '/late' })),
      order(StartMachine, await startCommand(program, { path: '/never', startup: 1500 })),
    ]);
    expect(late).toHaveProperty('done');
    expect(failureOf(never).message).toContain('GET /never still answered 503');
  });

  test.skipIf(skip)(
    'a machine that crashes is told of with its last lines, leaves the table, and comes back',
    async () => {
      const command = await startCommand(serving());
      const { machineId: id } = command;
      const exits: PayloadOf<typeof MachineExited>[] = [];
      const stop = messenger.subscribe(MachineExited, id, (event) => exits.push(event));
      const address = addressOf(await order(StartMachine, command));
      await eventually(() => endpoints.get(keyOf(id)));
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
        const now = endpoints.get(keyOf(id))?.address;
        return now !== undefined && (await call(now)) === 'hello';
      });
      expect(await leftovers()).toHaveLength(1);
      await eventually(async () => (await linesOf(id)).length === 3);
      expect(await hasGapless(id)).toEqual(['first line', 'last words', 'first line']);
    },
  );

  test.skipIf(skip)(
    'draining waits for calls in flight, keeps the wanted revision, and removes the rest',
    async () => {
      const old = await startCommand(serving());
      const fresh = await startCommand(serving(), { revision: 'room-test-v2' });
      await order(StartMachine, old);
      await order(StartMachine, fresh);
      await eventually(() => endpoints.has(keyOf(old.machineId)) && endpoints.has(keyOf(fresh.machineId)));
      let calls = 1;
      const asked: string[] = [];
      messenger.answerAll(inFlightSubject, inFlightRequestSchema, ({ machine }) => {
        asked.push(machine);
        return { calls: machine === old.machineId ? calls : 0, open: false };
      });
      const draining = order(DrainMachines, {
        project: 'default',
        function: 'room-test',
        keepRevision: 'room-test-v2',
        patience: 30_000,
      });
      await eventually(() => endpoints.get(keyOf(old.machineId))?.state === 'draining' && asked.length > 1);
      expect(await leftovers()).toHaveLength(2);
      calls = 0;
      expect(await draining).toEqual({ done: { machineIds: [old.machineId] } });
      await eventually(() => !endpoints.has(keyOf(old.machineId)));
      expect(endpoints.get(keyOf(fresh.machineId))?.state).toBe('ready');
      expect(await leftovers()).toHaveLength(1);
    },
  );

  test.skipIf(skip)(
    'after a stop of the platform its machines are down, and come back with it by themselves',
    async () => {
      const command = await startCommand(serving());
      const { machineId: id } = command;
      await order(StartMachine, command);
      await eventually(() => endpoints.has(keyOf(id)));
      await close();
      await open();
      const { address } = await eventually(() => endpoints.get(keyOf(id)));
      await eventually(async () => (await call(address)) === 'hello');
      await eventually(async () => (await linesOf(id)).length === 3);
      expect(await hasGapless(id)).toEqual(['first line', 'asked to end', 'first line']);
    },
  );

  test.skipIf(skip || driver === 'process')(
    'machines are kept when that was asked for, and no line is lost or repeated',
    async () => {
      await close();
      await open({ CESTX_KEEP_MACHINES: 'true' });
      const command = await startCommand(
        serving(`let n = 0; setInterval(() => console.log('tick ' + ++n), 20);`),
      );
      const { machineId: id } = command;
      const address = addressOf(await order(StartMachine, command));
      await eventually(async () => (await linesOf(id)).length > 10);
      await close();
      expect(await call(address)).toBe('hello');
      await new Promise((resolve) => setTimeout(resolve, 500));
      await open();
      const before = (await linesOf(id)).length;
      await eventually(async () => (await linesOf(id)).length > before + 30);
      expect(endpoints.get(keyOf(id))?.address).toBe(address);
      await order(RemoveMachine, { machineId: id });
      const ticks = (await hasGapless(id)).filter((text) => text.startsWith('tick'));
      expect(ticks).toEqual(ticks.map((_, index) => `tick ${index + 1}`));
    },
  );
});
