import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';
import type { Artifact } from '#contracts';
import { openDatabase, type Database } from '#storage';
import { dockerAvailable, startTestServers, type TestServers } from '#testing';

import { packSource } from './archive/pack-source.ts';
import { BuildQueue } from './build-queue.ts';
import { BuildRow, type BuildState } from './build.entity.ts';
import { BuildStore } from './build.store.ts';
import { connectToEngine, DockerBuilder } from './builders/docker.builder.ts';
import { Builders } from './builders/builders.ts';
import { ImageRegistry } from './builders/image-registry.ts';
import { CollectCachesLoop } from './collect-caches.loop.ts';
import { templatesRoom } from './templates.module.ts';

const project = `collect-${randomUUID().slice(0, 8)}`;
const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';

describe.skipIf(!dockerAvailable())('over the disk budget', () => {
  const docker = connectToEngine(host);
  let servers: TestServers;
  let database: Database;

  beforeAll(async () => {
    servers = await startTestServers();
    const url = await servers.databaseUrl('templates');
    database = await openDatabase({ url, entities: [BuildRow], migrations: templatesRoom.migrations });
  });
  afterAll(async () => {
    await database?.close();
    await servers?.stop();
  });

  /** A few bytes of an image; without a name of its own it is what a cache is made of. */
  async function makeImage(labels: Record<string, string>, t?: string): Promise<string> {
    const files = { Dockerfile: 'FROM scratch\nCOPY it /\nCMD ["/it"]\n', it: randomUUID() };
    const context = Readable.from(packSource(sourceOf(files)), { objectMode: false });
    const stream = await docker.buildImage(context, { labels, ...(t ? { t } : {}) });
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return /"ID":"(sha256:[0-9a-f]{64})"/.exec(text)?.[1] ?? '';
  }
  const here = (image: string) =>
    docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  const artifactOf = (image: string): Artifact => ({ kind: 'image', image, reference: `x/y@${image}` });
  const note = (template: string, state: BuildState, image: string) =>
    database.dataSource.getRepository(BuildRow).insert({
      id: randomUUID(),
      project,
      function: 'hello',
      sourceDigest: 'x',
      template,
      driver: 'docker',
      state,
      artifact: artifactOf(image),
      attempts: 1,
      log: '',
      changedAt: new Date(),
    });

  function loopWith(budget: number): CollectCachesLoop {
    const builder = new DockerBuilder({ host, limits: { memory: 1, cpu: 1, disk: 1 } });
    const asked = { ask: () => Promise.resolve({ driver: 'docker', reason: '', warning: null }) };
    return new CollectCachesLoop(
      new BuildStore(database),
      new Builders({ docker: builder, process: builder }),
      new ImageRegistry(docker, null),
      new BuildQueue({ size: 1, timeout: 1000 }),
      asked as never,
      { CESTX_DISK_BUDGET: budget },
      pino({ level: 'silent' }),
    );
  }

  it('caches of our projects and pulled images of functions that are gone go, and nothing that a revision needs', async () => {
    const cache = await makeImage({ 'cestx.cache': project });
    const othersCache = await makeImage({ 'cestx.cache': `${project}-other` });
    const gone = await makeImage({}, `${project}:gone`);
    const inUse = await makeImage({}, `${project}:used`);
    const built = await makeImage({ 'cestx.build': 'x' }, `${project}:built`);
    await note('image', 'discarded', gone);
    await note('image', 'discarded', inUse);
    await note('image', 'built', inUse);
    await note('node', 'built', built);
    try {
      await loopWith(1024 ** 5).collect();
      expect(await Promise.all([cache, gone].map(here))).toEqual([true, true]);
      await loopWith(0).collect();
      expect(await Promise.all([cache, gone].map(here))).toEqual([false, false]);
      expect(await Promise.all([othersCache, inUse, built].map(here))).toEqual([true, true, true]);
      expect(await new BuildStore(database).unusedImages()).toEqual([]);
    } finally {
      for (const image of [cache, othersCache, gone, inUse, built])
        await docker
          .getImage(image)
          .remove({ force: true })
          .catch(() => undefined);
    }
  });
});
