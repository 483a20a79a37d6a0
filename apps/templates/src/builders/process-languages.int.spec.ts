import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { sourceOf } from '#builds';
import type { Artifact } from '#contracts';
import { eventually, freePort, languageAvailable } from '#testing';

import { startBuild } from './builder.suite.ts';
import { answers } from './answers.fixture.ts';
import { ProcessBuilder } from './process.builder.ts';
import { type Project, projects } from './projects.fixture.ts';

let data: string;
let builder: ProcessBuilder;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'cestx-process-languages-'));
  await chmod(data, 0o755);
  builder = new ProcessBuilder({
    data,
    limits: { memory: 2 * 1024 ** 3, cpu: 2, disk: 4 * 1024 ** 3 },
    path: process.env['PATH'] ?? '',
    caFile: process.env['NODE_EXTRA_CA_CERTS'],
  });
});
afterAll(() => rm(data, { recursive: true, force: true }));

async function start(artifact: Artifact) {
  if (artifact.kind !== 'directory') throw new Error('not a folder');
  const port = await freePort();
  const [program = '', ...args] = artifact.command;
  const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const child = spawn(program, args, {
    cwd: artifact.path,
    env: { PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...asNobody,
  });
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => output.push(piece));
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  await answers(url, stop).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${output.join('')}`);
  });
  return { url, output, stop };
}

const event = {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'ce-id': '1',
    'ce-source': '/tests',
    'ce-specversion': '1.0',
    'ce-type': 'order.created',
    'ce-subject': 'orders/7',
  },
  body: '{"name":"Ada"}',
};

describe('a folder that was built without containers answers on $PORT and ends when it is asked to:', () => {
  it.for(Object.entries<Project>(projects))('%s', { timeout: 240_000 }, async ([, project], { skip }) => {
    skip(!languageAvailable(project.language), `${project.language} is not installed here`);
    const build = startBuild(builder, sourceOf(project.files), {
      template: project.language,
      settings: { handler: project.handler },
    });
    const artifact = await build.result.catch((error: unknown) => {
      throw new Error(`${String(error)}\n${build.lines.join('\n')}`);
    });
    const { url, output, stop } = await start(artifact);
    try {
      if (project.takesEvents) {
        expect((await fetch(url, event)).status).toBeLessThan(300);
        await eventually(() => output.join('').includes('event order.created orders/7 Ada'));
      } else {
        const response = await fetch(url);
        expect([response.status, await response.text()]).toEqual([
          200,
          expect.stringContaining('hello from'),
        ]);
      }
    } finally {
      await stop();
      await builder.remove(artifact);
    }
  });
});
