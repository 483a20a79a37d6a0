import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { baseImage, dockerAvailable, eventually } from '#testing';

import { defaultResources } from '#contracts';

import type { MachineSpec } from '../machine.driver.ts';
import { DockerDriver } from './docker.driver.ts';
import { connectToEngine } from './engine.ts';
import { describeMachineDriver } from './machine-driver.suite.ts';

const host = 'unix:///var/run/docker.sock';
const docker = connectToEngine(host);
const images: string[] = [];

describeMachineDriver(
  'docker',
  {
    outlives: true,
    contains: true,
    async open(house) {
      const driver = new DockerDriver({ host, house });
      await driver.open();
      return driver;
    },
    async artifactOf(program) {
      const container = await docker.createContainer({
        Image: baseImage,
        Cmd: ['node', '-e', program],
        Entrypoint: [],
      });
      const { Id: image } = (await container.commit()) as { Id: string };
      await container.remove();
      images.push(image);
      return { kind: 'image', image };
    },
    async clean(house) {
      if (house.endsWith('-other')) return;
      for (const image of images) await docker.getImage(image).remove({ force: true });
    },
  },
  !dockerAvailable(),
);

describe.skipIf(!dockerAvailable())('what containers are kept from', () => {
  const house = `locks-${randomUUID().slice(0, 8)}`;
  const driver = new DockerDriver({ host, house });
  const answer = `require('node:http').createServer(async (q, r) => r.end(await (async () => {
    const fs = require('node:fs');
    const url = new URL(q.url, 'http://x');
    if (url.pathname === '/write') try { fs.writeFileSync(url.searchParams.get('to'), 'x'); return 'written'; } catch (e) { return e.code; }
    if (url.pathname === '/lookup') return new (require('node:dns/promises').Resolver)({ timeout: 1000, tries: 1 }).resolve4('deb.debian.org').then(() => 'found', (e) => e.code);
    if (url.pathname === '/dial') return new Promise((done) => {
      const s = require('node:net').connect(Number(url.searchParams.get('port') ?? 8080), url.searchParams.get('to'));
      s.setTimeout(1500, () => { s.destroy(); done('nothing'); }).on('connect', () => { s.destroy(); done('connected'); }).on('error', (e) => done(e.code));
    });
    return 'hello';
  })())).listen(8080, '0.0.0.0')`;
  let addresses: string[];
  let lockImage = '';
  const ids = ['a', 'b', 'closed'].map((name) => `m-${name}-${randomUUID().slice(0, 8)}`);
  const resources = { ...defaultResources, cpu: 0.5, memory: 64 * 1024 ** 2, pids: 32 };
  const specOf = (id: string, more: Partial<MachineSpec> = {}): MachineSpec => ({
    id,
    project: 'default',
    function: 'locks',
    revision: 'locks-v1',
    artifact: { kind: 'image', image: lockImage },
    resources,
    environment: {},
    ...more,
  });

  beforeAll(async () => {
    await driver.open();
    const container = await docker.createContainer({
      Image: baseImage,
      Cmd: ['node', '-e', answer],
      Entrypoint: [],
    });
    const { Id: image } = (await container.commit()) as { Id: string };
    await container.remove();
    lockImage = image;
    for (const id of ids) {
      const network = id !== ids[2];
      await driver.create(specOf(id, { resources: { ...resources, network } }));
      await driver.start(id);
    }
    const seen = await Promise.all(ids.map((id) => driver.inspect(id)));
    addresses = seen.map((machine) => machine?.address ?? '');
    for (const address of addresses) await eventually(() => ask(address, '/'));
  });
  afterAll(async () => {
    for (const id of ids) await driver.remove(id);
    await driver.close();
    await docker.getImage(lockImage).remove({ force: true });
  });

  async function ask(address: string | undefined, path: string): Promise<string> {
    return (await fetch(`http://${address}${path}`)).text();
  }

  test('where the bridge belongs to this host it is dialled, and no port is published', async () => {
    const info = await docker.getContainer(`cestx-${ids[0]}`).inspect();
    const here = addresses[0]?.startsWith('127.') === false;
    expect(Object.keys(info.HostConfig.PortBindings ?? {})).toHaveLength(here ? 0 : 1);
    if (process.platform === 'linux') expect(addresses[0]).toMatch(/^172\.|^192\.168\.|^10\./);
  });

  test('one function cannot reach another', async () => {
    const [from, to] = addresses;
    expect(await ask(from, `/dial?to=${to?.split(':')[0]}`)).toBe('nothing');
    expect(await ask(to, '/')).toBe('hello');
  });

  test('a machine without network can be called, and reaches no name server, no machine and not this host', async () => {
    const closed = addresses[2];
    const host = createServer().listen(0, '0.0.0.0');
    await once(host, 'listening');
    const { port } = host.address() as AddressInfo;
    const gateways = [addresses[0], closed].map((address) => address?.replace(/\.\d+:.*$/, '.1'));
    try {
      expect(await ask(addresses[0], `/dial?to=${gateways[0]}&port=${port}`)).toBe('connected');
      const tries = [
        ...gateways.map((to) => `/dial?to=${to}&port=${port}`),
        `/dial?to=${addresses[0]?.split(':')[0]}`,
        '/lookup',
      ];
      for (const answer of await Promise.all(tries.map((path) => ask(closed, path))))
        expect(answer).not.toMatch(/^(connected|found)$/);
    } finally {
      host.close();
    }
  });

  test('only /tmp can be written', async () => {
    expect(await ask(addresses[0], '/write?to=/tmp/file')).toBe('written');
    for (const path of ['/file', '/etc/file', '/home/file', '/proc/sys/kernel/hostname'])
      expect(['EROFS', 'EACCES', 'ENOENT']).toContain(await ask(addresses[0], `/write?to=${path}`));
  });

  test('limits are in force and labels say what it is', async () => {
    const info = await docker.getContainer(`cestx-${ids[0]}`).inspect();
    expect(info.HostConfig).toMatchObject({
      Memory: 64 * 1024 ** 2,
      MemorySwap: 64 * 1024 ** 2,
      NanoCpus: 5e8,
      PidsLimit: 32,
      ReadonlyRootfs: true,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '8388608', 'max-file': '2' } },
    });
    expect(info.Image).toBe(lockImage);
    expect(info.Config.Labels).toMatchObject({
      'cestx.machine': ids[0],
      'cestx.function': 'locks',
      'cestx.project': 'default',
      'cestx.revision': 'locks-v1',
      'cestx.house': house,
    });
  });
});
