import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import Docker from 'dockerode';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';
import { CestxError, parseImageName, registryFrom, type Artifact } from '#contracts';
import { dockerAvailable, registryAvailable, startRegistry, type TestRegistry } from '#testing';

import { packSource } from '../archive/pack-source.ts';
import { ImageRegistry } from './image-registry.ts';

type ImageArtifact = Extract<Artifact, { kind: 'image' }>;

const docker = new Docker();
const pauseMs = 50;
const project = `p-${randomUUID().slice(0, 8)}`;

/** A few bytes of an image, named like what a build made. */
async function makeImage(options: { t?: string; labels?: Record<string, string> }): Promise<string> {
  const t = options.t ?? `cestx-build:${project}`;
  const tree = sourceOf({ Dockerfile: 'FROM scratch\nCOPY it /\nCMD ["/it"]\n', it: `${project} ${t}` });
  const stream = await docker.buildImage(Readable.from(packSource(tree), { objectMode: false }), {
    ...options,
    t,
  });
  await (stream as Readable).forEach(() => undefined);
  return (await docker.getImage(t).inspect()).Id;
}

describe.skipIf(!dockerAvailable() || !registryAvailable())('images and a real registry', () => {
  let server: TestRegistry;
  let registry: ImageRegistry;
  let built: ImageArtifact;
  let pushed: ImageArtifact;
  const lines: string[] = [];
  const call = { log: (line: string) => void lines.push(line), signal: new AbortController().signal };
  const to = { project, functionName: 'hello', buildId: randomUUID() };
  const asUser = (password: string) =>
    new ImageRegistry(
      docker,
      registryFrom({
        CESTX_REGISTRY: `${server.address}/team`,
        CESTX_REGISTRY_USER: server.user,
        CESTX_REGISTRY_PASSWORD: password,
      }),
      pauseMs,
    );
  const remove = (image: string) => docker.getImage(image).remove({ force: true });
  const here = (image: string) =>
    docker
      .getImage(image)
      .inspect()
      .then(
        () => true,
        () => false,
      );
  const refusal = (call_: Promise<unknown>) =>
    call_.then(
      () => expect.unreachable('it was let through'),
      (error: unknown) => error as CestxError,
    );

  beforeAll(async () => {
    server = await startRegistry();
    registry = asUser(server.password);
    const image = await makeImage({});
    built = { kind: 'image', image };
  });
  afterAll(async () => {
    await remove(built.image).catch(() => undefined);
    await server?.stop();
  });

  it('what is pushed comes back by its digest as the very same image, also where it was not', async () => {
    pushed = await registry.push(built, to, call);
    expect(pushed.reference).toMatch(
      new RegExp(`^${server.address}/team/${project}/hello@sha256:[0-9a-f]{64}$`),
    );
    await remove(built.image);
    expect(await here(built.image)).toBe(false);
    expect(await registry.pull(pushed.reference ?? '', call)).toEqual(pushed);
    expect(await here(built.image)).toBe(true);
  });

  it('an image that is asked for by its tag is pinned by the digest behind it', async () => {
    expect(await registry.pull(`${server.address}/team/${project}/hello:${to.buildId}`, call)).toEqual(
      pushed,
    );
  });

  it('without the password, or with a wrong one, there is nothing, and the password stays out of the message', async () => {
    const tagged = `${server.address}/team/${project}/hello:${to.buildId}`;
    const error = await refusal(asUser('wrong-password').pull(tagged, call));
    expect([error.code, error.retryable]).toEqual(['build-failed', false]);
    expect(error.message).toContain('CESTX_REGISTRY_USER');
    expect(JSON.stringify([error.message, error.detail])).not.toContain('wrong-password');
    expect((await refusal(new ImageRegistry(docker, null).pull(tagged, call))).code).toBe('build-failed');
    expect((await refusal(asUser('wrong-password').push(built, to, call))).code).toBe('build-failed');
  });

  it('an image, or a digest, that the registry does not have is told by its name', async () => {
    const other = `${server.address}/team/${project}/hello@sha256:${'0'.repeat(64)}`;
    for (const image of [`${server.address}/team/none:1`, other]) {
      const error = await refusal(registry.pull(image, call));
      expect([error.code, error.message]).toEqual([
        'build-failed',
        expect.stringMatching(
          new RegExp(`^There is no image .*${parseImageName(image).repository}`),
        ) as string,
      ]);
    }
  });

  it('content that is not what its digest says is not taken', async () => {
    const image = await makeImage({ t: `cestx-build:${randomUUID()}` });
    const { reference = '' } = await registry.push({ kind: 'image', image }, to, call);
    await remove(image);
    const digest = reference.split('sha256:')[1] ?? '';
    const blob = join(server.folder, 'docker/registry/v2/blobs/sha256', digest.slice(0, 2), digest, 'data');
    await writeFile(blob, (await readFile(blob, 'utf8')).replace('"config"', '"Config"'));
    const error = await refusal(registry.pull(reference, call));
    expect([error.code, error.retryable]).toEqual(['build-failed', false]);
    expect(await here(image)).toBe(false);
  });

  it('a registry that is away is tried again, then told; one that comes back in time is waited for', async () => {
    const image = `127.0.0.1:9/team/${project}:1`;
    lines.length = 0;
    const error = await refusal(registry.pull(image, call));
    expect([error.code, error.message]).toEqual(['unavailable', `The registry of ${image} does not answer.`]);
    expect(lines.filter((line) => line.includes('Trying once more'))).toHaveLength(2);
    server.pause();
    const pulled = registry.pull(pushed.reference ?? '', call);
    setTimeout(server.resume, 500);
    expect(await pulled).toEqual(pushed);
  });

  it('an image of the host itself is used where no registry is named, but none that was built for a project', async () => {
    const name = `cestx-test-${project}`;
    await docker.getImage(built.image).tag({ repo: name, tag: '1' });
    const secret = await makeImage({ t: `${name}:secret`, labels: { 'cestx.build': 'x' } });
    try {
      expect(await registry.pull(`${name}:1`, call)).toEqual({ kind: 'image', image: built.image });
      await refusal(registry.pull(`${name}:secret`, call));
    } finally {
      await remove(`${name}:1`);
      await remove(secret);
    }
  });
});
