import type Docker from 'dockerode';

import { defaultResources } from '#contracts';

import { openDriverBench, untilAnswered } from './docker-driver.ts';
import { median, report } from './report.ts';

const turns = 11;
const rounds = 3;
const atOnce = 20;
const bench = await openDriverBench('machine driver');
if (!bench) process.exit();
const { engine, image, driver } = bench;
const { Runtimes: runtimes = {} } = (await engine.info()) as { Runtimes?: object };
const tiers = ['absent', 'stopped', 'frozen'] as const;
type Tiers = Record<(typeof tiers)[number], number[]>;
const raw: Tiers = { absent: [], stopped: [], frozen: [] };
const ours: Tiers = { absent: [], stopped: [], frozen: [] };
const crun: number[] = [];
const joined: number[] = [];
const many = { raw: [] as number[], ours: [] as number[] };
const idle = await engine.createContainer({ ...rawOptions('bridge'), Cmd: ['sleep', 'infinity'] });
try {
  await idle.start();
  const ready = await ipOf(idle);
  for (let turn = 0; turn <= turns; turn++) {
    await measureRaw();
    await measureOurs(`m-${turn}`);
    if ('crun' in runtimes) crun.push(await timed(() => startNew(`m-crun-${turn}`, 'crun')));
    const inReady = await engineContainer(`container:${idle.id}`);
    joined.push(inReady.ms + (await timed(() => startRaw(inReady.container, ready))));
    await inReady.container.remove({ force: true });
    await removeOurs();
    // The first turn warms caches.
    if (turn === 0) for (const list of [raw, ours].flatMap(Object.values).concat([crun, joined])) list.pop();
  }
  for (let round = 0; round < rounds; round++) {
    const containers: Docker.Container[] = [];
    many.raw.push(
      await timed(() =>
        atOnceDo(async () => {
          const { container } = await engineContainer('bridge');
          containers.push(container);
          await startRaw(container);
        }),
      ),
    );
    await Promise.all(containers.map((container) => container.remove({ force: true })));
    many.ours.push(await timed(() => atOnceDo((n) => startNew(`m-${round}-${n}`))));
    await removeOurs();
  }
  for (const tier of tiers) {
    const limit = tier === 'frozen' ? 1.3 : 1.15;
    compare(`${tier} to 200, driver alone`, median(ours[tier]), median(raw[tier]), limit);
  }
  compare(`${atOnce} absent at once to 200, driver alone`, median(many.ours), median(many.raw), 1.15);
  const bound = median(raw.absent);
  if (crun.length > 0)
    report({ name: 'absent to 200, driver alone, crun', value: median(crun), unit: 'ms', bound });
  report({ name: 'absent to 200, engine alone, network ready', value: median(joined), unit: 'ms', bound });
} finally {
  await idle.remove({ force: true });
  await bench.close();
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

async function atOnceDo(work: (n: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: atOnce }, (_, n) => work(n)));
}

/** What a careful person would type, with the limits a function has by default. */
function rawOptions(network: string): Docker.ContainerCreateOptions {
  const { cpu, memory } = defaultResources;
  return { Image: image, HostConfig: { NetworkMode: network, NanoCpus: cpu * 1e9, Memory: memory } };
}

async function engineContainer(network: string): Promise<{ container: Docker.Container; ms: number }> {
  const began = performance.now();
  const container = await engine.createContainer(rawOptions(network));
  return { container, ms: performance.now() - began };
}

async function ipOf(container: Docker.Container): Promise<string> {
  const { Networks } = (await container.inspect()).NetworkSettings;
  return Object.values(Networks)[0]?.IPAddress ?? '';
}

async function startRaw(container: Docker.Container, address?: string): Promise<string> {
  await container.start();
  const host = `${address ?? (await ipOf(container))}:8080`;
  await untilAnswered(host);
  return host;
}

async function measureRaw(): Promise<void> {
  const { container, ms } = await engineContainer('bridge');
  raw.absent.push(ms + (await timed(() => startRaw(container))));
  await container.stop({ t: 0 });
  let address = '';
  raw.stopped.push(await timed(async () => (address = await startRaw(container))));
  await container.pause();
  raw.frozen.push(
    await timed(async () => {
      await container.unpause();
      await untilAnswered(address);
    }),
  );
  await container.remove({ force: true });
}

async function startNew(id: string, runtime?: 'crun'): Promise<void> {
  await bench?.create(id, runtime);
  await bench?.start(id);
}

async function measureOurs(id: string): Promise<void> {
  ours.absent.push(await timed(() => startNew(id)));
  await driver.stop(id, 0);
  let address = '';
  ours.stopped.push(await timed(async () => (address = (await bench?.start(id)) ?? '')));
  await driver.freeze(id);
  ours.frozen.push(
    await timed(async () => {
      await driver.thaw(id);
      await untilAnswered(address);
    }),
  );
}

async function removeOurs(): Promise<void> {
  await Promise.all((await driver.list()).map(({ id }) => driver.remove(id)));
}
