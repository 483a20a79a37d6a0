import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { createClient, type Client } from '#client';
import { freePort } from '#testing';

export interface BenchedPlatform {
  url: string;
  client: Client;
  process: ChildProcess;
  /** Milliseconds from the start of the process to its ready line. */
  readyMs: number;
  stop(): Promise<void>;
}

const root = join(import.meta.dirname, '..');

/** Starts the built all-in-one as `npm start` does, in a process of its own. */
export async function startAllInOne(data: string, driver: 'docker' | 'process'): Promise<BenchedPlatform> {
  const port = await freePort();
  const dnsPort = await freePort();
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--enable-source-maps',
      '--import',
      join(root, 'dist/libs/boot/src/telemetry.js'),
      join(root, 'dist/apps/all-in-one/src/main.js'),
      '--data',
      data,
      '--port',
      String(port),
      '--dns-port',
      String(dnsPort),
      '--driver',
      driver,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('ready ')) resolve();
    });
    void exited.then(() => reject(new Error('the platform ended before it was ready')));
  });
  const readyMs = performance.now() - started;
  const url = `http://127.0.0.1:${port}`;
  const key = (await readFile(join(data, 'admin-key'), 'utf8')).trim();
  return {
    url,
    client: createClient({ url, key }),
    process: child,
    readyMs,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
