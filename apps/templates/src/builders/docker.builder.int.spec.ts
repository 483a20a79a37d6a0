import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import Docker from 'dockerode';
import { afterAll, describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';
import type { Artifact, BuildSettings } from '#contracts';
import { baseImage, dockerAvailable, languageImageAvailable } from '#testing';

import { answers } from './answers.fixture.ts';
import { describeBuilder, echoName, failure, requestFor, startBuild, suiteProject } from './builder.suite.ts';
import { DockerBuilder } from './docker.builder.ts';

const docker = new Docker();
const options = {
  host: process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock',
  limits: { memory: 512 * 1024 ** 2, cpu: 1, disk: 256 * 1024 ** 2 },
  caFile: process.env['NODE_EXTRA_CA_CERTS'],
};
const builder = new DockerBuilder(options);

async function start(artifact: Artifact) {
  if (artifact.kind !== 'image') throw new Error('not an image');
  const container = await docker.createContainer({
    Image: artifact.image,
    Env: ['PORT=8080'],
    HostConfig: { ReadonlyRootfs: true, Tmpfs: { '/tmp': '' }, CapDrop: ['ALL'] },
  });
  const stop = () => container.remove({ force: true });
  await container.start();
  const { NetworkSettings } = await container.inspect();
  const url = `http://${NetworkSettings.Networks['bridge']?.IPAddress}:8080`;
  await answers(url, stop);
  return { url, stop };
}

async function leftovers(buildId: string): Promise<string[]> {
  const filters = { label: [`cestx.build=${buildId}`] };
  const containers = await docker.listContainers({ all: true, filters });
  const images = await docker.listImages({ all: true, filters });
  return [...containers.map(({ Id }) => `container ${Id}`), ...images.map(({ Id }) => `image ${Id}`)];
}

describe.runIf(dockerAvailable())('the docker builder', () => {
  const made: Artifact[] = [];
  afterAll(async () => {
    for (const artifact of made) await builder.remove(artifact);
    await builder.clearCache(suiteProject);
  });
  describeBuilder(() => ({ builder, start, leftovers }));

  it('tells builds apart by all that they follow from, the base image too', async () => {
    const base = 'cestx-suite/base:1';
    const own = new DockerBuilder({ ...options, images: { node: base } });
    const source = sourceOf({ 'package.json': {}, 'server.js': '', 'index.js': '' });
    const contentOf = async (settings: Partial<BuildSettings> = {}) =>
      (await own.prepare(requestFor(source, { settings }))).content;
    const image = docker.getImage(baseImage);
    await image.tag({ repo: 'cestx-suite/base', tag: '1' });
    const first = await contentOf();
    expect(await contentOf()).toBe(first);
    const others = [await contentOf({ handler: 'a' }), await contentOf({ handler: 'b' })];
    others.push(await contentOf({ args: { A: '1' } }), await contentOf({ args: { A: '2' } }));
    const container = await docker.createContainer({ Image: baseImage });
    await container.commit({ repo: 'cestx-suite/base', tag: '1' });
    await container.remove();
    others.push(await contentOf());
    expect(new Set([first, ...others]).size).toBe(6);
    await docker.getImage(base).remove();
  });

  it('pins the image by its id, labels it, and leaves the certificate of the build out of it', async () => {
    const source = await echoName();
    const build = startBuild(builder, source);
    const artifact = await build.result;
    made.push(artifact);
    if (artifact.kind !== 'image') throw new Error('not an image');
    const image = await docker.getImage(artifact.image).inspect();
    expect(image.Id).toBe(artifact.image);
    expect(image.Config.Labels).toMatchObject({ 'cestx.build': build.buildId });
    expect(image.Config.User).toBe('65534:65534');
    const history = JSON.stringify(await docker.getImage(artifact.image).history());
    expect(history).not.toContain('cestx-build-ca');
  });

  it('installs nothing anew when only the code changed', async () => {
    const source = await echoName();
    made.push(await startBuild(builder, source).result);
    const files = source.files.map((file) =>
      file.path === 'server.js'
        ? { ...file, content: Buffer.concat([file.content, Buffer.from('\n// changed\n')]) }
        : file,
    );
    const build = startBuild(builder, { ...source, files });
    made.push(await build.result);
    expect(build.lines.join('\n')).toMatch(/npm ci.*\n ?---> Using cache/);
    expect(build.lines.join('\n')).not.toContain('added 1 package');
  });

  it.for(['python', 'go'] as const)(
    'builds a source in %s, which answers on $PORT as nobody',
    { timeout: 240_000 },
    async (language, { skip }) => {
      skip(!languageImageAvailable(language), `the image of ${language} is missing (npm run images)`);
      const artifact = await startBuild(builder, await echoName(language), { template: language }).result;
      made.push(artifact);
      const { url, stop } = await start(artifact);
      try {
        const answer = await fetch(`${url}/echo-name`, { method: 'POST', body: '{"name":"Ada"}' });
        expect([answer.status, await answer.text()]).toEqual([200, 'Hello, Ada']);
      } finally {
        await stop();
      }
      const components = (await builder.components(artifact)).map(({ purl }) => purl).join('\n');
      expect(components).toMatch(/^pkg:deb\/debian\/tzdata@/m);
      expect(components).toMatch(
        language === 'go' ? /^pkg:golang\/stdlib@1\./m : /^pkg:pypi\/flask@3\.1\.3$/m,
      );
    },
  );

  it('builds the Dockerfile of the user, without what is ignored, and keeps nothing of how it reached the network', async () => {
    const proxy = { HTTP_PROXY: 'http://someone:secret@proxy.invalid:3128' };
    const dockerfile = `ARG BASE
FROM \${BASE}
ARG GREETING
COPY . /app/
RUN echo "left: $(ls -a /app | tr '\\n' ' ')"; echo "proxy: $HTTP_PROXY"; echo "$GREETING" > /tmp/greeting
USER 65534
CMD ["cat", "/tmp/greeting"]
`;
    const source = sourceOf({
      Dockerfile: dockerfile,
      '.dockerignore': '*\n!hello.txt\n',
      'hello.txt': 'hi',
      'secret.txt': 'x',
    });
    const build = startBuild(new DockerBuilder({ ...options, proxy }), source, {
      template: 'dockerfile',
      settings: { args: { BASE: baseImage, GREETING: 'good day' } },
    });
    const artifact = await build.result;
    made.push(artifact);
    expect(build.lines.find((line) => line.startsWith('left:'))?.trim()).toBe('left: . .. hello.txt');
    expect(build.lines).toContain(`proxy: ${proxy.HTTP_PROXY}`);
    if (artifact.kind !== 'image') throw new Error('not an image');
    const image = docker.getImage(artifact.image);
    expect(JSON.stringify([await image.inspect(), await image.history()])).not.toContain('secret@proxy');
    const again = sourceOf({ Dockerfile: `FROM cestx-build:${build.buildId}\n` });
    const stolen = await failure(startBuild(builder, again, { template: 'dockerfile' }));
    expect(stolen.message).toContain('was made for a function');
  });

  it.each([
    ['an unknown instruction', 'FROM scratch\nNONSENSE x\n', /cannot be built: .*NONSENSE/i],
    ['a missing file', `FROM ${baseImage}\nCOPY nothing.txt /\n`, /failed: .*nothing\.txt/],
    ['a failing step', `FROM ${baseImage}\nRUN echo because; exit 7\n`, /failed: .*code: 7/],
    [
      'a base image that is not there',
      'FROM cestx.invalid/none:1\n',
      /none:1 cannot be had: .*Check its name/,
    ],
    ['the engine’s socket', `FROM ${baseImage}\nRUN --mount=type=bind,source=/var/run x\n`, /mounts nothing/],
  ])('a Dockerfile with %s fails with a plain reason and leaves nothing', async (_, dockerfile, reason) => {
    const build = startBuild(builder, sourceOf({ Dockerfile: dockerfile }), { template: 'dockerfile' });
    const error = await failure(build);
    expect(error.code).toBe('build-failed');
    expect(error.message).toMatch(reason);
    expect(await leftovers(build.buildId)).toEqual([]);
  });

  it('a base image whose registry is away is asked for again, and then told', async () => {
    const registry = createServer((_, response) => response.writeHead(503).end()).listen(0, '127.0.0.1');
    await once(registry, 'listening');
    const name = `127.0.0.1:${(registry.address() as AddressInfo).port}/base:1`;
    const build = startBuild(builder, sourceOf({ Dockerfile: `FROM ${name}\n` }), { template: 'dockerfile' });
    try {
      expect((await failure(build)).message).toContain(`The base image ${name} cannot be had: `);
      expect(build.lines.filter((line) => line.endsWith('trying once more.'))).toHaveLength(2);
    } finally {
      registry.close();
    }
  });

  it('a build has no host network and no engine socket', async () => {
    const dockerfile = `FROM ${baseImage}\nRUN test ! -e /var/run/docker.sock && echo "interfaces: $(echo /sys/class/net/* | tr '\\n' ' ')"\n`;
    const build = startBuild(builder, sourceOf({ Dockerfile: dockerfile }), { template: 'dockerfile' });
    made.push(await build.result);
    expect(build.lines.find((line) => line.startsWith('interfaces:'))).not.toContain('docker0');
  });
});
