import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import Docker from 'dockerode';

import { packSource } from '#client';
import { dockerMissing } from '#testing';

import { startAllInOne } from './all-in-one.ts';
import { median, report } from './report.ts';

/**
 * The first call to a function at rest, through the whole platform, against the bare engine doing the same to a container of
 * the same image: `docker unpause`, `docker start`, `docker create` and `start`, each until the program answers.
 */
const turns = Number(process.env['CESTX_BENCH_TURNS'] ?? 11);
const rounds = 3;
const atOnce = 20;
const missing = dockerMissing();
if (missing) {
  process.stdout.write(`waking: skipped, ${missing}\n`);
  process.exit();
}

const hello = `require('node:http').createServer((q, r) => r.end('hello')).listen(process.env.PORT, '0.0.0.0')`;
const tiers = ['frozen', 'stopped', 'absent'] as const;
type Tier = (typeof tiers)[number];
/** Rests only when told to, and is not put to rest deeper. */
const scale = { freezeAfter: '1h', stopAfter: '1h', removeAfter: '1h' };
const names = Array.from({ length: atOnce }, (_, index) => `wake-${index}`);
const first = names[0] as string;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
const platform = await startAllInOne(join(folder, 'data'), 'docker');
const engine = new Docker();
const made = new Set<Docker.Container>();
try {
  const archive = await packHello();
  await deploy(archive, first);
  await untilDone((await platform.client.changeScale(first, scale)).deploymentId);
  const options = await rawOptions(first);
  const ours = emptyTiers();
  const raw = emptyTiers();
  for (let turn = 0; turn <= turns; turn++) {
    for (const tier of tiers) {
      const [us, engineAlone] = [await wake(first, tier), await wakeRaw(options, tier)];
      // The first turn warms caches.
      if (turn === 0) continue;
      ours[tier].push(us);
      raw[tier].push(engineAlone);
    }
  }
  for (const tier of tiers)
    compare(`${tier} to 200`, median(ours[tier]), median(raw[tier]), tier === 'frozen' ? 1.3 : 1.15);
  for (const name of names.slice(1)) await deploy(archive, name);
  const together = { ours: [] as number[], raw: [] as number[] };
  let failed = 0;
  for (let round = 0; round < rounds; round++) {
    await Promise.all(names.map((name) => bringTo(name, 'absent')));
    together.ours.push(
      await timed(async () => {
        const statuses = await Promise.all(names.map((name) => statusOf(name)));
        failed += statuses.filter((status) => status !== 200).length;
      }),
    );
    together.raw.push(await timed(() => Promise.all(names.map(() => startRaw(options)))));
    await removeRaw();
  }
  const [value, bound] = [median(together.ours), median(together.raw)];
  report({
    name: `${atOnce} absent at once to 200, ${failed} failed`,
    value,
    unit: 'ms',
    bound,
    gate: '<= 1.15 x the engine alone, none fails',
    met: value <= 1.15 * bound && failed === 0,
  });
} finally {
  await removeRaw();
  // Their images go with them.
  await Promise.allSettled(names.map(remove));
  await sleep(2000);
  await platform.stop();
  await rm(folder, { recursive: true, force: true });
}

function emptyTiers(): Record<Tier, number[]> {
  return { frozen: [], stopped: [], absent: [] };
}

function compare(name: string, value: number, bound: number, limit: number): void {
  const gate = `<= ${limit} x the engine alone`;
  report({ name, value, unit: 'ms', bound, gate, met: value <= limit * bound });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function packHello(): Promise<Buffer> {
  const source = join(folder, 'source');
  await mkdir(source);
  const project = { name: 'hello', version: '1.0.0' };
  const files = {
    'package.json': JSON.stringify({ ...project, scripts: { start: 'node index.js' } }),
    'package-lock.json': JSON.stringify({ ...project, lockfileVersion: 3, packages: { '': project } }),
    'index.js': hello,
  };
  for (const [path, content] of Object.entries(files)) await writeFile(join(source, path), content);
  return (await packSource(source)).archive;
}

async function deploy(archive: Buffer, name: string): Promise<void> {
  const sent = await platform.client.deployFunction({ source: archive, manifest: `name: ${name}\n` });
  await untilDone(sent.deploymentId);
}

async function remove(name: string): Promise<void> {
  await untilDone((await platform.client.removeFunction(name)).deploymentId);
}

async function untilDone(deploymentId: string): Promise<void> {
  for await (const { state, error } of platform.client.followDeployment(deploymentId))
    if (state === 'failed') throw new Error(`${error?.code}: ${error?.message}`);
}

async function machineOf(name: string): Promise<string | undefined> {
  return (await platform.client.listMachines({ function: name })).items[0]?.id;
}

/** Puts the function's machine, if it has one, to rest. */
async function bringTo(name: string, tier: Tier): Promise<void> {
  const id = await machineOf(name);
  if (id === undefined) return;
  if (tier === 'absent') await platform.client.removeMachine(id);
  else await platform.client.moveMachine(id, tier === 'frozen' ? 'freeze' : 'stop');
  // The engine and the platform come to rest, too.
  await sleep(100);
}

async function wake(name: string, tier: Tier): Promise<number> {
  await bringTo(name, tier);
  const socket = connect(Number(new URL(platform.url).port), '127.0.0.1').setNoDelay(true);
  await once(socket, 'connect');
  const ms = await timed(() => answered(socket, name));
  socket.destroy();
  return ms;
}

/** Written on a bare socket: a client library takes about as long as a thaw. */
async function answered(socket: Socket, name: string): Promise<void> {
  socket.write(`GET /function/${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  let received = '';
  while (!received.endsWith('hello')) {
    received += String((await once(socket, 'data'))[0]);
    if (received.startsWith('HTTP/1.1 5')) throw new Error(received);
  }
}

async function statusOf(name: string): Promise<number> {
  const answer = await fetch(`${platform.url}/function/${name}`);
  await answer.arrayBuffer();
  return answer.status;
}

/** What a careful person would run by hand: the image that the platform built, with the limits of its machine. */
async function rawOptions(name: string): Promise<Docker.ContainerCreateOptions> {
  const id = await machineOf(name);
  const [found] = await engine.listContainers({ all: true, filters: { label: [`cestx.machine=${id}`] } });
  if (!found) throw new Error(`the container of ${id} is not there`);
  const { Config, HostConfig } = await engine.getContainer(found.Id).inspect();
  return {
    Image: Config.Image,
    Env: Config.Env,
    HostConfig: { NanoCpus: HostConfig.NanoCpus ?? 0, Memory: HostConfig.Memory ?? 0 },
  };
}

async function startRaw(
  options: Docker.ContainerCreateOptions,
  before?: Docker.Container,
): Promise<{ container: Docker.Container; address: string }> {
  const container = before ?? (await engine.createContainer(options));
  made.add(container);
  await container.start();
  const { Networks } = (await container.inspect()).NetworkSettings;
  const address = `${Object.values(Networks)[0]?.IPAddress}:8080`;
  await untilAnswers(address);
  return { container, address };
}

async function untilAnswers(address: string): Promise<void> {
  for (;;) {
    try {
      const answer = await fetch(`http://${address}/`, { headers: { connection: 'close' } });
      if ((await answer.text()) === 'hello') return;
    } catch {
      await sleep(2);
    }
  }
}

async function wakeRaw(options: Docker.ContainerCreateOptions, tier: Tier): Promise<number> {
  if (tier === 'absent') {
    const ms = await timed(() => startRaw(options));
    await removeRaw();
    return ms;
  }
  const { container, address } = await startRaw(options);
  if (tier === 'frozen') await container.pause();
  else await container.stop({ t: 0 });
  await sleep(100);
  const ms = await timed(async () => {
    if (tier === 'stopped') await startRaw(options, container);
    else await container.unpause().then(() => untilAnswers(address));
  });
  await removeRaw();
  return ms;
}

async function removeRaw(): Promise<void> {
  await Promise.all([...made].map((container) => container.remove({ force: true })));
  made.clear();
}
