import { expect, test } from 'vitest';

import { defaultResources, parseManifest, settingsSchema } from '#contracts';

import type { MachineSpec } from '../machine.driver.ts';
import { containerOptions, userFor } from './container-options.ts';

const spec: MachineSpec = {
  id: 'm1',
  project: 'default',
  function: 'echo',
  revision: 'echo-v1',
  artifact: { kind: 'image', image: `sha256:${'a'.repeat(64)}` },
  resources: { ...defaultResources, cpu: 0.5, memory: 64 * 1024 ** 2, pids: 64 },
  environment: { GREETING: 'Hello=you', PORT: '1' },
};

const house = { id: 'h', network: { name: 'cestx', publish: false }, imageUser: '' };

test('no container is made without every limit and every lock', () => {
  const options = containerOptions(spec, house);
  expect(options.HostConfig).toMatchObject({
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges'],
    Privileged: false,
    Memory: 64 * 1024 ** 2,
    MemorySwap: 64 * 1024 ** 2,
    NanoCpus: 5e8,
    PidsLimit: 64,
    NetworkMode: 'cestx',
    PortBindings: {},
    Tmpfs: { '/tmp': 'rw,exec,nosuid,nodev,mode=1777,size=67108864' },
    Ulimits: [
      { Name: 'nofile', Soft: 8192, Hard: 8192 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    LogConfig: { Type: 'json-file', Config: { 'max-size': '8388608', 'max-file': '2' } },
  });
  expect(options.HostConfig).not.toHaveProperty('Binds');
  expect(options.Env).toEqual(['GREETING=Hello=you', 'PORT=8080']);
});

test('a machine without network is in the closed one, and asks no name server', () => {
  const options = containerOptions(
    { ...spec, resources: { ...spec.resources, network: false }, runtime: 'crun' },
    house,
  );
  expect(options.HostConfig).toMatchObject({
    NetworkMode: 'cestx-closed',
    Dns: ['127.0.0.1'],
    Runtime: 'crun',
  });
});

test('what a manifest limits reaches the container', () => {
  const manifest = parseManifest(
    'name: echo\nruntime: runsc\nresources: { cpu: 2, memory: 64Mi, pids: 9, files: 99, tmp: 1Mi, logs: 4Mi, network: false }',
  );
  const { resources, runtime } = settingsSchema.parse(manifest);
  const options = containerOptions({ ...spec, resources, ...(runtime ? { runtime } : {}) }, house);
  expect(options.HostConfig).toMatchObject({
    Runtime: 'runsc',
    NanoCpus: 2e9,
    Memory: 67_108_864,
    PidsLimit: 9,
    Ulimits: [{ Name: 'nofile', Soft: 99, Hard: 99 }, expect.anything()],
    Tmpfs: { '/tmp': expect.stringContaining('size=1048576') as string },
    LogConfig: { Config: { 'max-size': '2097152' } },
    NetworkMode: 'cestx-closed',
  });
});

test.each(['', 'root', '0', '0:0', '00', 'root:root', undefined])(
  'an image that would run as root (%j) does not',
  (user) => {
    expect(userFor(user)).toBe('65534:65534');
  },
);

test('an image keeps a user of its own', () => {
  expect(userFor('node')).toBe('node');
  expect(userFor('1000:1000')).toBe('1000:1000');
});
