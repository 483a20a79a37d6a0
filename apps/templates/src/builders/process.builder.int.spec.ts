import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';
import type { Artifact } from '#contracts';
import { eventually, freePort } from '#testing';

import { describeBuilder, failure, startBuild } from './builder.suite.ts';
import { answers } from './answers.fixture.ts';
import { ProcessBuilder } from './process.builder.ts';

let data: string;
let builder: ProcessBuilder;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'cestx-process-builder-'));
  await chmod(data, 0o755);
  builder = new ProcessBuilder({
    data,
    limits: { memory: 512 * 1024 ** 2, cpu: 1, disk: 256 * 1024 ** 2 },
    path: process.env['PATH'] ?? '',
    caFile: process.env['NODE_EXTRA_CA_CERTS'],
  });
});
afterAll(() => rm(data, { recursive: true, force: true }));

const commands = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });

async function start(artifact: Artifact) {
  if (artifact.kind !== 'directory') throw new Error('not a folder');
  const port = await freePort();
  const [program = '', ...args] = artifact.command;
  const child = spawn(program, args, { cwd: artifact.path, env: { PORT: String(port) }, stdio: 'inherit' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  await answers(url, stop);
  return { url, stop };
}

async function leftovers(buildId: string): Promise<string[]> {
  const names = await readdir(join(data, 'builds')).catch((): string[] => []);
  const groups = ['memory', 'cpu', 'pids', '.'].map(
    (controller) => `/sys/fs/cgroup/${controller}/cestx-builds/${buildId}`,
  );
  const processes = commands().split('\n');
  return [
    ...names.filter((name) => name.includes(buildId)),
    ...groups.filter((folder) => existsSync(folder)),
    ...processes.filter((line) => line.includes(buildId)),
  ];
}

describe('the process builder', () => {
  describeBuilder(() => ({ builder, start, leftovers }));

  it('refuses a Dockerfile with a plain reason', async () => {
    const source = sourceOf({ Dockerfile: 'FROM scratch' });
    const error = await failure(startBuild(builder, source, { template: 'dockerfile' }));
    expect(error.message).toContain('needs a container engine');
  });

  it('ends what a build started in the background', async () => {
    const source = sourceOf({
      'package.json': { scripts: { build: '(setsid sleep 4567 >/dev/null 2>&1 &) ; echo done' } },
      'server.js': '',
    });
    const artifact = await startBuild(builder, source).result;
    expect(commands()).not.toContain('sleep 4567');
    await builder.remove(artifact);
  });

  it.runIf(process.getuid?.() === 0)(
    'gives a folder that everybody may read and only root may change',
    async () => {
      const source = sourceOf({
        'package.json': { scripts: { build: 'touch made; chmod 6777 made' } },
        'server.js': '',
      });
      const artifact = await startBuild(builder, source).result;
      if (artifact.kind !== 'directory') throw new Error('not a folder');
      const made = await stat(join(artifact.path, 'made'));
      expect([made.uid, (made.mode & 0o7777).toString(8)]).toEqual([0, '755']);
      await builder.remove(artifact);
    },
  );

  it('leaves no process when the platform is killed, and clears what is left of the files', async () => {
    const buildId = randomUUID();
    const program = fileURLToPath(new URL('./build-forever.fixture.ts', import.meta.url));
    const path = process.env['PATH'] ?? '';
    // Libs come from dist: their sources have decorators, which Node does not read.
    const args = [program, data, buildId, path];
    const platform = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve) => {
      platform.stdout.on('data', (chunk: Buffer) => {
        if (/^started$/m.test(String(chunk))) resolve();
      });
    });
    expect(commands()).toContain('sleep 98765');
    platform.kill('SIGKILL');
    await eventually(() => !commands().includes('sleep 98765'));
    expect(await leftovers(buildId)).not.toEqual([]);
    await builder.clear(buildId, null);
    expect(await leftovers(buildId)).toEqual([]);
  });

  it('removes nothing but its own builds', async () => {
    await builder.remove({ kind: 'directory', path: data, command: ['x'] });
    expect(existsSync(data)).toBe(true);
  });
});
