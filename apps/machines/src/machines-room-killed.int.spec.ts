import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import {
  DrainMachines,
  ListMachines,
  RemoveMachine,
  StartMachine,
  type CommandType,
  type PayloadOf,
} from '#contracts';
import { dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { addressOf, call, RoomSurroundings, servingProgram } from './machines-room.fixture.ts';

const root = join(import.meta.dirname, '..', '..', '..');
let servers: TestServers;
/** The room as plain JavaScript, built aside: only a process of its own can be killed. */
let built: string;

beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), 'cestx-built-'));
  await copyFile(join(root, 'package.json'), join(built, 'package.json'));
  await symlink(join(root, 'node_modules'), join(built, 'node_modules'));
  const words = [
    '-p',
    'tsconfig.build.json',
    '--outDir',
    join(built, 'dist'),
    '--incremental',
    'false',
    '--tsBuildInfoFile',
    'null',
  ];
  // What does not type-check elsewhere in the tree is not this test's business; the emitted code decides.
  await promisify(execFile)(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...words], {
    cwd: root,
  }).catch(() => undefined);
  servers = await startTestServers();
}, 180_000);
afterAll(async () => {
  await servers?.stop();
  await rm(built, { recursive: true, force: true });
});

describe.each(['process', 'docker'] as const)('a machines room on %s that is killed', (driver) => {
  const skip = driver === 'docker' && !dockerAvailable();
  let around: RoomSurroundings;
  let room: ChildProcess | null = null;

  async function open(failpoints = ''): Promise<void> {
    const child = spawn(process.execPath, [join(built, 'dist/apps/machines/src/main.js')], {
      env: { ...around.environment, CESTX_FAILPOINTS: failpoints },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    room = child;
    await Promise.race([once(child.stdout ?? child, 'data'), once(child, 'exit')]);
  }
  async function died(): Promise<void> {
    const child = room;
    room = null;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
  async function kill(): Promise<void> {
    room?.kill('SIGKILL');
    await died();
  }

  beforeAll(async () => {
    if (!skip) around = await RoomSurroundings.open(driver, servers, 'kill-test');
  });
  afterEach(async () => {
    if (skip) return;
    if (!room) await open();
    const { items } = await around.messenger.ask(ListMachines, {});
    for (const { id } of items) await around.order(RemoveMachine, { machineId: id });
    const left = await around.leftovers();
    room?.kill('SIGTERM');
    await died();
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
  });
  afterAll(async () => {
    await kill();
    await around?.close();
  });

  /** Orders something of a room that dies of it, and then of one that does not. */
  async function orderAcrossKill<C extends CommandType>(
    failpoint: string,
    command: C,
    payload: PayloadOf<C>,
  ) {
    await kill();
    await open(failpoint);
    const { ended } = await around.send(command, payload);
    await died();
    await open();
    return ended;
  }

  test.skipIf(skip).each(['before-effect', 'after-effect', 'after-commit'])(
    'at a start, %s, ends with one machine that answers',
    async (place) => {
      const command = await around.startCommand(servingProgram());
      const end = await orderAcrossKill(`start-machine:${place}:kill`, StartMachine, command);
      expect(end).toHaveProperty('done');
      await eventually(
        async () => (await call(around.endpoints.get(command.machineId)?.address ?? '')) === 'hello',
      );
      expect(await around.leftovers()).toHaveLength(1);
    },
  );

  test.skipIf(skip)('while a program is still starting ends with one machine that answers', async () => {
    await open();
    const command = await around.startCommand(`setTimeout(() => { ${servingProgram()} }, 1000)`);
    const { ended } = await around.send(StartMachine, command);
    await eventually(async () => (await around.leftovers()).length === 1);
    await delay(300);
    await kill();
    if (driver === 'process') await eventually(async () => (await pidsOf(command.machineId)).length === 0);
    await open();
    expect(await call(addressOf(await ended))).toBe('hello');
    expect(await around.leftovers()).toHaveLength(1);
  });

  test.skipIf(skip)('at a removal ends with nothing', async () => {
    await open();
    const command = await around.startCommand(servingProgram());
    await around.order(StartMachine, command);
    const { machineId } = command;
    expect(
      await orderAcrossKill('remove-machine:after-effect:kill', RemoveMachine, { machineId }),
    ).toHaveProperty('done');
    expect(await around.leftovers()).toEqual([]);
    await eventually(() => !around.endpoints.has(machineId));
  });

  test.skipIf(skip)('at a drain ends with nothing', async () => {
    await open();
    const command = await around.startCommand(servingProgram());
    await around.order(StartMachine, command);
    const order = { project: 'default', function: 'kill-test', keepRevision: null, patience: 1000 };
    expect(await orderAcrossKill('drain-machines:after-effect:kill', DrainMachines, order)).toHaveProperty(
      'done',
    );
    expect(await around.leftovers()).toEqual([]);
    await eventually(() => !around.endpoints.has(command.machineId));
  });

  // Processes end with the platform, so only a container can be left between two tiers.
  if (driver === 'docker') {
    test.skipIf(skip)(
      'in the middle of each change of tier has a machine that answers its next call',
      async () => {
        const tiers = { freezeAfter: 200, stopAfter: 600_000, removeAfter: 600_000 };
        // In an order in which no life is killed while it puts right what the one before left.
        const lives: [failpoint: string, scale: typeof tiers, asks: boolean][] = [
          ['driver-freeze:before-effect', tiers, false],
          ['driver-thaw:after-effect', tiers, true],
          ['driver-stop:before-effect', { ...tiers, stopAfter: 400 }, false],
          ['driver-start:after-effect', { ...tiers, stopAfter: 400 }, true],
          ['driver-freeze:after-effect', tiers, false],
          ['driver-remove:before-effect', { ...tiers, stopAfter: 400, removeAfter: 600 }, false],
        ];
        await open();
        const command = await around.startCommand(servingProgram());
        await around.order(StartMachine, command);
        const answers = async (): Promise<void> => {
          const { endpoint } = await around.wake();
          expect(await call(endpoint.address)).toBe('hello');
          expect(await around.leftovers()).toHaveLength(1);
        };
        for (const [place, scale, asks] of lives) {
          await kill();
          await around.setRoute({});
          await open(`${place}:kill`);
          if (!place.startsWith('driver-start')) await answers();
          await around.setRoute(scale);
          const deepest = scale.stopAfter === 400 ? 'stopped' : 'frozen';
          if (asks)
            await eventually(async () => (await around.states())[0] === deepest, { timeoutMs: 30_000 });
          if (asks) void around.wake().catch(() => undefined);
          await died();
        }
        await around.setRoute({});
        await open();
        await eventually(async () => (await around.leftovers()).length === 0);
        await answers();
        await eventually(() => around.endpoints.size === 1);
        expect(await around.states()).toEqual(['running']);
        await around.removeRoute();
      },
      180_000,
    );
  }

  test.skipIf(skip)(
    'with machines running gets them back, and their lines without a gap or a repetition',
    async () => {
      await open();
      const ticking = servingProgram(
        `require('node:child_process').spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).unref(); let n = 0; setInterval(() => console.log('tick ' + ++n + ' ' + process.pid), 5);`,
      );
      const command = await around.startCommand(ticking);
      const { machineId: id } = command;
      await around.order(StartMachine, command);
      const count = async (): Promise<number> => (await around.linesOf(id)).length;
      for (let round = 0; round < 3; round++) {
        const before = await count();
        await eventually(async () => (await count()) > before + 50);
        await kill();
        if (driver === 'process') await eventually(async () => (await pidsOf(id)).length === 0);
        await delay(200);
        await open();
      }
      const before = await count();
      await eventually(async () => (await count()) > before + 50, { timeoutMs: 20_000 });
      await eventually(async () => (await call(around.endpoints.get(id)?.address ?? '')) === 'hello');
      await around.order(RemoveMachine, { machineId: id });
      const lines = await around.linesOf(id);
      expect(lines.map(({ position }) => position)).toEqual(lines.map((_, index) => index + 1));
      const ticks = lines.map(({ text }) => /^tick (\d+) /.exec(text)?.[1]).filter((n) => n !== undefined);
      // Each life of the program counts from 1; within one, no number is missing and none comes twice.
      for (const [index, n] of ticks.entries())
        expect(['1', String(Number(ticks[index - 1] ?? 0) + 1)]).toContain(n);
      expect(ticks.filter((n) => n === '1')).toHaveLength(driver === 'process' ? 4 : 1);
    },
  );
});

async function pidsOf(machineId: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const marked = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return environment.includes(`CESTX_MACHINE=${machineId}`) ? pid : null;
    }),
  );
  return marked.filter((pid) => pid !== null);
}
