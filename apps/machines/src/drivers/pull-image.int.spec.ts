import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { defaultResources, registryFrom, type Artifact } from '#contracts';
import { baseImage, dockerAvailable, registryAvailable, startRegistry, type TestRegistry } from '#testing';

import { DockerDriver } from './docker.driver.ts';

const docker = new Docker();
const house = `pulls-${randomUUID().slice(0, 8)}`;

describe.skipIf(!dockerAvailable() || !registryAvailable())(
  'a machine of an image this host does not have',
  () => {
    let registry: TestRegistry;
    let driver: DockerDriver;
    let image: string;
    let reference: string;
    const remove = () => docker.getImage(image).remove({ force: true });
    const create = (id: string, artifact: Partial<Extract<Artifact, { kind: 'image' }>>, by = driver) =>
      by.create({
        id: `${house}-${id}`,
        project: 'default',
        function: 'pulled',
        revision: 'pulled-v1',
        artifact: { kind: 'image', image, reference, ...artifact },
        resources: defaultResources,
        environment: {},
      });
    const driverFor = (password: string) =>
      new DockerDriver({
        host: process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock',
        house,
        registry: registryFrom({
          CESTX_REGISTRY: registry.address,
          CESTX_REGISTRY_USER: registry.user,
          CESTX_REGISTRY_PASSWORD: password,
        }),
      });

    beforeAll(async () => {
      registry = await startRegistry();
      driver = driverFor(registry.password);
      await driver.open();
      // Made of nothing, so that there is little to push.
      const imported = (await docker.importImage(Readable.from([Buffer.alloc(1024)]), {
        repo: `${registry.address}/x`,
        tag: '1',
        changes: 'CMD ["/it"]',
      })) as unknown;
      await (imported as Readable).forEach(() => undefined);
      const named = docker.getImage(`${registry.address}/x:1`);
      image = (await named.inspect()).Id;
      const { user: username, password } = registry;
      const pushed = await named.push({
        authconfig: { username, password, serveraddress: registry.address },
      });
      let text = '';
      for await (const chunk of pushed) text += String(chunk);
      reference = `${registry.address}/x@${/"Digest":"(sha256:[0-9a-f]{64})"/.exec(text)?.[1]}`;
      await remove();
    });
    afterAll(async () => {
      for (const { id } of (await driver?.list()) ?? []) await driver.remove(id);
      await driver?.close();
      await remove().catch(() => undefined);
      await registry?.stop();
    });

    it('is not made where the registry does not let us in, or does not answer', async () => {
      await expect(create('a', {}, driverFor('wrong'))).rejects.toMatchObject({
        code: 'start-failed',
        message: expect.stringContaining('CESTX_REGISTRY_USER') as string,
      });
      const away = reference.replace(registry.address, '127.0.0.1:9');
      await expect(create('b', { reference: away })).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
      });
      const none = `${reference.split('@')[0]}@sha256:${'0'.repeat(64)}`;
      await expect(create('c', { reference: none })).rejects.toMatchObject({ code: 'start-failed' });
    });

    it('is not made of another image than the one that was built', async () => {
      const other = (await docker.getImage(baseImage).inspect()).RootFS?.Layers?.[0] ?? '';
      await expect(create('d', { image: other })).rejects.toMatchObject({
        code: 'start-failed',
        message: expect.stringContaining('is not what was built') as string,
      });
      await remove();
    });

    it('is made of it, pulled by its digest', async () => {
      await create('e', {});
      expect((await driver.inspect(`${house}-e`))?.state).toBe('created');
      expect((await docker.getImage(image).inspect()).Id).toBe(image);
    });
  },
);
