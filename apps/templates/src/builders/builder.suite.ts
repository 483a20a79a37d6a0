import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, it } from 'vitest';

import { sourceOf, type SourceTree, type TemplateName } from '#builds';
import { CestxError, type Artifact, type BuildSettings } from '#contracts';

import { digestOf } from '../archive/pack-source.ts';
import { readFolder } from '../archive/read-folder.fixture.ts';
import type { Builder, BuildRequest } from './builder.ts';

export interface BuilderUnderTest {
  builder: Builder;
  /** Starts an artefact and says where it answers. */
  start(artifact: Artifact): Promise<{ url: string; stop: () => Promise<void> }>;
  /** Everything the machine still has of a build. */
  leftovers(buildId: string): Promise<string[]>;
}

/** A project of its own, so that its caches can be removed without touching anybody else's. */
export const suiteProject = 'builder-suite';

export interface RunningBuild {
  buildId: string;
  lines: string[];
  result: Promise<Artifact>;
}

/** The example in Node.js, or that of another language. */
export const echoName = (language?: 'python' | 'go') =>
  readFolder(
    fileURLToPath(
      new URL(`../../../../examples/echo-name${language ? `-${language}` : ''}`, import.meta.url),
    ),
  );

interface BuildOptions {
  template?: TemplateName;
  settings?: Partial<BuildSettings>;
  functionName?: string;
  signal?: AbortSignal;
  onLine?: (line: string) => void;
}

export function requestFor(source: SourceTree, options: BuildOptions = {}): BuildRequest {
  return {
    buildId: randomUUID(),
    project: suiteProject,
    functionName: options.functionName ?? 'echo-name',
    sourceDigest: digestOf(source),
    template: options.template ?? 'node',
    settings: { args: {}, ...options.settings },
    source,
    log: options.onLine ?? (() => undefined),
    signal: options.signal ?? new AbortController().signal,
  };
}

export function startBuild(builder: Builder, source: SourceTree, options: BuildOptions = {}): RunningBuild {
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    options.onLine?.(line);
  };
  const request = requestFor(source, { ...options, onLine });
  const result = builder.prepare(request).then((build) => build.run());
  return { buildId: request.buildId, lines, result };
}

export async function failure(build: RunningBuild): Promise<CestxError> {
  const outcome = await build.result.then(
    (artifact) => `it was built: ${JSON.stringify(artifact)}`,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(CestxError);
  return outcome as CestxError;
}

/** A name no earlier run had, so that a builder with a cache does the work again. */
const fresh = () => `x-${randomUUID()}`;

const script = (build: string, files: Record<string, string> = {}) =>
  sourceOf({ 'package.json': { name: fresh(), scripts: { build, start: 'node server.js' } }, ...files });

/** What every builder does, whatever it builds for. */
export function describeBuilder(under: () => BuilderUnderTest): void {
  const made: Artifact[] = [];
  const finish = async (build: RunningBuild) => {
    const artifact = await build.result;
    made.push(artifact);
    return artifact;
  };
  afterEach(async () => {
    for (const artifact of made.splice(0)) await under().builder.remove(artifact);
  });

  describe('a source with dependencies', () => {
    it('is installed from its lock file, starts, answers, and is gone when removed', async () => {
      const { builder, start, leftovers } = under();
      const build = startBuild(builder, await echoName());
      const artifact = await finish(build);
      expect(build.lines.join('\n')).toMatch(/npm ci/);
      expect(build.lines.join('\n')).toMatch(/added 1 package/);
      expect(await builder.exists(artifact)).toBe(true);
      expect((await builder.components(artifact)).map(({ purl }) => purl)).toContain('pkg:npm/valibot@1.5.0');
      const { url, stop } = await start(artifact);
      try {
        const answer = await fetch(`${url}/echo-name`, { method: 'POST', body: '{"name":"Ada"}' });
        expect([answer.status, await answer.text()]).toEqual([200, 'Hello, Ada']);
        expect((await fetch(`${url}/echo-name`, { method: 'POST', body: '{' })).status).toBe(400);
        expect((await fetch(`${url}/_/health`)).status).toBe(200);
      } finally {
        await stop();
      }
      await builder.remove(artifact);
      await builder.remove(artifact);
      expect(await builder.exists(artifact)).toBe(false);
      expect(await leftovers(build.buildId)).toEqual([]);
    });

    it('of its build only has none of those when it runs', async () => {
      const { builder, start } = under();
      const source = sourceOf({
        'package.json': {
          name: fresh(),
          type: 'module',
          scripts: { build: 'node make.js', start: 'node out/server.js' },
          devDependencies: { ms: '2.1.3' },
        },
        'make.js': `import ms from 'ms'; import { cpSync } from 'node:fs';
          console.log('minute', ms('1m')); cpSync('server.js', 'out/server.js');`,
        'server.js': `import { createServer } from 'node:http';
          const ms = await import('ms').then(() => 'there', () => 'gone');
          createServer((q, r) => r.end(ms)).listen(process.env.PORT, '0.0.0.0');`,
      });
      const build = startBuild(builder, source);
      const artifact = await finish(build);
      expect(build.lines.join('\n')).toContain('minute 60000');
      const { url, stop } = await start(artifact);
      try {
        expect(await (await fetch(url)).text()).toBe('gone');
      } finally {
        await stop();
      }
    });
  });

  describe('a build that fails says why, shows its last lines, and leaves nothing:', () => {
    type Case = [string, () => Promise<SourceTree> | SourceTree, RegExp];
    const cases: Case[] = [
      [
        'a lock file that does not match',
        async () => {
          const source = await echoName();
          const manifest = {
            name: 'x',
            scripts: { start: 'node server.js' },
            dependencies: { valibot: '^1.0.0', ms: '2.1.3' },
          };
          const files = source.files.filter((file) => file.path !== 'package.json');
          return { ...source, files: [...files, ...sourceOf({ 'package.json': manifest }).files] };
        },
        /^npm ci failed: package-lock\.json does not match package\.json; run npm install and deploy again\.$/,
      ],
      [
        'a version that does not exist',
        () => sourceOf({ 'package.json': { dependencies: { ms: '99.0.0' } }, 'server.js': '' }),
        /^npm install failed: there is no version ms@99\.0\.0\.$/,
      ],
      ['a build script that fails', () => script('echo the reason >&2; exit 3'), /^npm run build failed: /],
      [
        'a build script that is missing a program',
        () => script('no-such-program'),
        /^npm run build failed: /,
      ],
      [
        'a build that takes too much memory',
        () =>
          script('node eat.js', { 'eat.js': 'const a = []; for (;;) a.push(Buffer.alloc(16 << 20, 1));' }),
        /^npm run build failed: it needed more memory/,
      ],
      ...(process.getuid?.() === 0
        ? ([
            [
              'a build that forks without end',
              () => script('sh fork.sh', { 'fork.sh': 'while :; do sleep 60 & done' }),
              /^npm run build failed: it started more processes than a build may have at once\.$/,
            ],
          ] satisfies Case[])
        : []),
      [
        'a build that fills the disk',
        () => script('echo started; cat /dev/zero > a; sleep 60'),
        /^The build wrote more than 256 MiB to the disk, which CESTX_BUILD_DISK allows\.$/,
      ],
    ];
    it.each(cases)('%s', async (_, source, reason) => {
      const { builder, leftovers } = under();
      const build = startBuild(builder, await source());
      const error = await failure(build);
      expect(error.code).toBe('build-failed');
      expect(error.message).toMatch(reason);
      expect((error.lastLines ?? build.lines).length).toBeGreaterThan(0);
      expect(await leftovers(build.buildId)).toEqual([]);
    });

    it('nothing that says how it starts', async () => {
      const { builder, leftovers } = under();
      const build = startBuild(builder, sourceOf({ 'package.json': {} }));
      expect((await failure(build)).message).toContain('it does not say how it starts');
      expect(await leftovers(build.buildId)).toEqual([]);
    });
  });

  it('a build never runs as root', async () => {
    const build = startBuild(under().builder, script('echo "user=$(id -u)"'));
    await finish(build);
    expect(build.lines.find((line) => line.startsWith('user='))).not.toBe('user=0');
  });

  it('an aborted build ends at once with the reason it was given, and leaves nothing', async () => {
    const { builder, leftovers } = under();
    const controller = new AbortController();
    const build = startBuild(builder, script('echo started; sleep 300'), {
      signal: controller.signal,
      onLine: (line) => {
        if (line === 'started') controller.abort(new CestxError('undone', 'It was cancelled.'));
      },
    });
    const startedAt = Date.now();
    expect((await failure(build)).code).toBe('undone');
    expect(Date.now() - startedAt).toBeLessThan(30_000);
    expect(await leftovers(build.buildId)).toEqual([]);
  });

  it('what a killed build left can be cleared, without touching what is kept', async () => {
    const { builder, leftovers } = under();
    const build = startBuild(builder, sourceOf({ 'package.json': {}, 'server.js': 'process.exit()' }));
    const artifact = await finish(build);
    await builder.clear(build.buildId, artifact);
    expect(await builder.exists(artifact)).toBe(true);
    await builder.clear(build.buildId, null);
    expect(await builder.exists(artifact)).toBe(false);
    expect(await leftovers(build.buildId)).toEqual([]);
  });
}
