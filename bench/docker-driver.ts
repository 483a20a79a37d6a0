import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import type Docker from 'dockerode';

import { defaultResources, parseManifest, settingsSchema, type Settings } from '#contracts';
import { baseImage, dockerMissing } from '#testing';

/** The built files of the machines room; a benchmark measures what runs. */
async function built<T>(file: string): Promise<T> {
  return (await import(new URL(`../dist/apps/machines/src/${file}.js`, import.meta.url).href)) as T;
}
const { DockerDriver } =
  await built<typeof import('../apps/machines/src/drivers/docker.driver.ts')>('drivers/docker.driver');
const { connectToEngine } =
  await built<typeof import('../apps/machines/src/drivers/engine.ts')>('drivers/engine');
const { waitUntilReady } =
  await built<typeof import('../apps/machines/src/wait-until-ready.ts')>('wait-until-ready');

const hello = `require('node:http').createServer((q, r) => r.end('hello')).listen(8080, '0.0.0.0')`;
const { health } = settingsSchema.parse(parseManifest('name: hello'));

/** The Docker driver without the rest of the platform, the bare engine beside it, and an image of a hello server. */
export interface DriverBench {
  engine: Docker;
  image: string;
  driver: InstanceType<typeof DockerDriver>;
  create(id: string, runtime?: Settings['runtime']): Promise<void>;
  /** Starts it and waits until it is ready, as the room does, and until it has answered; its address. */
  start(id: string): Promise<string>;
  close(): Promise<void>;
}

/** Null, and said on the way, where no engine answers. `host` as `DOCKER_HOST` writes it. */
export async function openDriverBench(what: string): Promise<DriverBench | null> {
  const missing = dockerMissing();
  if (missing) {
    process.stdout.write(`${what}: skipped, ${missing}\n`);
    return null;
  }
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const engine = connectToEngine(host);
  const made = await engine.createContainer({ Image: baseImage, Cmd: ['node', '-e', hello], Entrypoint: [] });
  const { Id: image } = (await made.commit()) as { Id: string };
  await made.remove();
  const driver = new DockerDriver({ host, house: `bench-${randomUUID().slice(0, 8)}` });
  await driver.open();
  return {
    engine,
    image,
    driver,
    create: (id, runtime) =>
      driver.create({
        id,
        project: 'default',
        function: 'hello',
        revision: 'hello-v1',
        artifact: { kind: 'image', image },
        resources: defaultResources,
        environment: {},
        ...(runtime ? { runtime } : {}),
      }),
    async start(id) {
      await driver.start(id);
      const readiness = await waitUntilReady(driver, id, health, new AbortController().signal);
      if (readiness.kind !== 'ready') throw new Error(`${id} is ${readiness.kind}`);
      await untilAnswered(readiness.address);
      return readiness.address;
    },
    async close() {
      for (const { id } of await driver.list()) await driver.remove(id);
      await driver.close();
      await engine.getImage(image).remove({ force: true });
    },
  };
}

export async function untilAnswered(address: string): Promise<void> {
  while ((await ask(address)) !== 'hello') await sleep(2);
}

/** The body of an answer, or null; gives up after `timeout` milliseconds. */
export function ask(address: string, timeout = 10_000): Promise<string | null> {
  return new Promise((answer) => {
    const call = request(`http://${address}/`, { agent: false, timeout }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += String(chunk)));
      response.once('end', () => answer(body));
      response.once('error', () => answer(null));
    });
    call.once('timeout', () => call.destroy());
    call.once('error', () => answer(null));
    call.end();
  });
}
