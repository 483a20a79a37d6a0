import { existsSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import { defaultResources, MoveMachine, RemoveMachine, StartMachine } from '#contracts';
import {
  crunAvailable,
  eventually,
  ownEnginePossible,
  startOwnEngine,
  startTestServers,
  type OwnEngine,
  type TestServers,
} from '#testing';

import { DockerDriver } from './drivers/docker.driver.ts';
import { connectToEngine } from './drivers/engine.ts';
import type { MachineSpec } from './machine.driver.ts';
import { addressOf, call, RoomSurroundings } from './machines-room.fixture.ts';
import { machinesRoom } from './machines.module.ts';

let engine: OwnEngine;
let image: string;
beforeAll(async () => {
  if (!ownEnginePossible()) return;
  engine = await startOwnEngine();
  image = await engine.image(
    `process.on('SIGTERM', () => process.exit(0)); require('node:http').createServer((q, r) => r.end('hello')).listen(8080)`,
  );
});
afterAll(() => engine?.close());

describe.skipIf(!ownEnginePossible())('the docker driver on an engine of its own', () => {
  const [busy, resting, ofCrun] = ['m-busy', 'm-resting', 'm-of-crun'];
  let driver: DockerDriver;
  const specOf = (id: string, runtime?: 'crun'): MachineSpec => ({
    id,
    project: 'default',
    function: 'echo',
    revision: 'echo-v1',
    artifact: { kind: 'image', image },
    resources: { ...defaultResources, cpu: 1 },
    environment: {},
    ...(runtime ? { runtime } : {}),
  });
  const ask = async (id: string): Promise<string> => {
    const address = (await driver.inspect(id))?.address;
    return (await fetch(`http://${address}/`, { signal: AbortSignal.timeout(5000) })).text();
  };
  const stateOf = async (id: string): Promise<string | undefined> => (await driver.inspect(id))?.state;

  beforeAll(async () => {
    driver = new DockerDriver({ host: engine.host, house: 'killed' });
    await driver.open();
    for (const id of [busy, resting]) {
      await driver.create(specOf(id));
      await driver.start(id);
      await eventually(() => ask(id));
    }
  });
  afterAll(async () => {
    await driver?.close();
  });

  test('crun runs, freezes and measures a machine like the runtime the engine takes by itself', async ({
    skip,
  }) => {
    skip(!crunAvailable(), 'crun is not installed');
    await driver.create(specOf(ofCrun, 'crun'));
    await driver.start(ofCrun);
    await eventually(() => ask(ofCrun));
    await driver.freeze(ofCrun);
    expect(await stateOf(ofCrun)).toBe('frozen');
    await driver.thaw(ofCrun);
    expect(await ask(ofCrun)).toBe('hello');
    expect(await driver.stats(ofCrun)).toMatchObject({ memoryLimitBytes: defaultResources.memory });
    const { HostConfig } = await connectToEngine(engine.host).getContainer(`cestx-${ofCrun}`).inspect();
    expect(HostConfig.Runtime).toBe('crun');
    await driver.remove(ofCrun);
  });

  test('an engine that is killed leaves its machines answering, lets the frozen go, and its return is no fault of theirs', async () => {
    const told: string[] = [];
    driver.onExit((id) => told.push(id));
    const bridge = existsSync('/sys/class/net/docker0');
    await driver.freeze(resting);
    await engine.kill();

    expect(await ask(busy)).toBe('hello');
    await eventually(() => ask(resting));
    expect([await stateOf(busy), await stateOf(resting)]).toEqual(['running', 'running']);
    expect((await driver.stats(busy))?.processes).toBeGreaterThan(0);
    const away = { code: 'unavailable', retryable: true };
    await expect(driver.freeze(busy)).rejects.toMatchObject(away);
    await expect(driver.create(specOf('m-later'))).rejects.toMatchObject(away);
    await expect(driver.list()).rejects.toMatchObject(away);

    await engine.start();
    await eventually(() => told.includes(busy) && told.includes(resting), { timeoutMs: 20_000 });
    for (const id of [busy, resting]) {
      // They were asked to end, not killed after a while: none hung in its freezer.
      const exit = { code: 0, withPlatform: true };
      expect(await driver.inspect(id)).toMatchObject({ state: 'exited', exit });
      await driver.start(id);
      await eventually(() => ask(id));
    }
    await driver.freeze(busy);
    expect(await stateOf(busy)).toBe('frozen');
    await driver.remove(busy);
    await driver.remove(resting);
    expect(await driver.list()).toEqual([]);
    // Nor did it take anything from the engine beside it.
    expect(existsSync('/sys/class/net/docker0')).toBe(bridge);
  });
});

describe.skipIf(!ownEnginePossible())('a machines room whose engine is killed', () => {
  let servers: TestServers;
  let around: RoomSurroundings;
  let room: RunningRoom | null = null;
  const start = () =>
    startRoom(machinesRoom, { ...around.environment, CESTX_DRIVER: 'docker', DOCKER_HOST: engine.host });

  beforeAll(async () => {
    servers = await startTestServers();
    around = await RoomSurroundings.open('process', servers, 'engine-test');
    room = await start();
  });
  afterAll(async () => {
    await room?.stop();
    await around?.close();
    await servers?.stop();
  });

  test('keeps calls going, wakes what is frozen, has everything back afterwards, and can stop meanwhile', async () => {
    const command = { ...(await around.startCommand('')), artifact: { kind: 'image', image } as const };
    const { machineId } = command;
    const address = addressOf(await around.order(StartMachine, command));
    await around.setRoute({});
    await around.order(MoveMachine, { machineId, to: 'frozen' });
    const answering = async (): Promise<string | null> => {
      const endpoint = around.endpoints.get(machineId);
      return endpoint?.state === 'ready' ? call(endpoint.address) : null;
    };

    await engine.kill();
    expect((await around.wake()).endpoint.address).toBe(address);
    expect(await call(address)).toBe('hello');
    await engine.start();
    await eventually(answering, { timeoutMs: 30_000 });

    await engine.kill();
    await room?.stop();
    room = null;
    await engine.start();
    room = await start();
    expect((await around.wake()).endpoint.machine).toBe(machineId);
    await eventually(answering, { timeoutMs: 30_000 });
    await around.order(RemoveMachine, { machineId });
    expect(await connectToEngine(engine.host).listContainers({ all: true })).toEqual([]);
  });
});
