import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { baseImage, dockerAvailable } from '#testing';

import { machinesConfig } from './machines.config.ts';
import { pickDriver } from './pick-driver.ts';

let data: string;
beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'cestx-pick-'));
});
afterAll(() => rm(data, { recursive: true, force: true }));

async function picked(
  environment: Record<string, string>,
  inContainers = false,
): Promise<{ driver: string; reason: string; warning: string | null }> {
  const config = machinesConfig.parse({ CESTX_DATA: data, PATH: process.env['PATH'], ...environment });
  const { driver, reason } = await pickDriver(config, 'pick-test', { inContainers, patience: 600 });
  const { name, warning } = driver;
  await driver.close();
  return { driver: name, reason, warning };
}

test('without an engine functions run as processes, and the user is told why and what that means', async () => {
  const { driver, reason, warning } = await picked({ DOCKER_HOST: `unix://${data}/no.sock` });
  expect(driver).toBe('process');
  expect(reason).toBe('No container engine answers.');
  expect(warning).toContain('not isolated');
});

test('containers that were asked for and cannot be had are a refusal, not a silent step down', async () => {
  await expect(
    picked({ CESTX_DRIVER: 'docker', DOCKER_HOST: `unix://${data}/no.sock` }),
  ).rejects.toMatchObject({
    code: 'no-driver',
  });
});

test('where functions are in containers an engine that stays away is a refusal, not a change to processes', async () => {
  await expect(picked({ DOCKER_HOST: `unix://${data}/no.sock` }, true)).rejects.toMatchObject({
    code: 'no-driver',
  });
});

test.skipIf(!dockerAvailable())(
  'functions that are in containers stay there without a base image',
  async () => {
    const without = { CESTX_IMAGE_NODE: 'localhost:1/no/such-image:1' };
    expect(await picked(without, true)).toMatchObject({ driver: 'docker' });
  },
);

test.skipIf(!dockerAvailable())('with an engine and a base image functions run in containers', async () => {
  expect(await picked({ CESTX_IMAGE_NODE: baseImage })).toMatchObject({ driver: 'docker', warning: null });
});

test.skipIf(!dockerAvailable())('with an engine but no base image functions run as processes', async () => {
  const { driver, reason } = await picked({ CESTX_IMAGE_NODE: 'localhost:1/no/such-image:1' });
  expect(driver).toBe('process');
  expect(reason).toContain('it has no base image (localhost:1/no/such-image:1)');
});

test('processes can be asked for whatever the engine says', async () => {
  expect(await picked({ CESTX_DRIVER: 'process' })).toMatchObject({
    driver: 'process',
    reason: 'It was asked for.',
  });
});
