import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { startNats } from './nats-server.ts';
import { startPostgres } from './postgres.ts';
import { supervise } from './supervise.ts';

let dir: string;
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cestx-supervise-'));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(dir, { recursive: true, force: true });
});

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test.each([
  ['nats-server', startNats],
  ['PostgreSQL', startPostgres],
])(
  '%s comes back on the same port and with the same URL each time it is SIGKILLed',
  async (name, startServer) => {
    const onExit = vi.fn();
    const onRestart = vi.fn();
    const supervised = await supervise({
      name,
      start: (port) => startServer({ dataDir: dir, port }),
      onExit,
      onRestart,
    });
    ends.push(() => supervised.stop());
    const { url } = supervised;
    for (const time of [1, 2, 3]) {
      const { pid } = supervised.server;
      supervised.server.kill('SIGKILL');
      await vi.waitFor(() => expect(onRestart).toHaveBeenCalledTimes(time), 20_000);
      expect(supervised.server.pid).not.toBe(pid);
      expect(supervised.url).toBe(url);
    }
    expect(onExit).toHaveBeenCalledWith({ code: null, signal: 'SIGKILL' });
  },
);

test('a server that is stopped on purpose is not started again', async () => {
  const onRestart = vi.fn();
  const onExit = vi.fn();
  const supervised = await supervise({
    name: 'nats-server',
    start: (port) => startNats({ dataDir: dir, port }),
    onExit,
    onRestart,
  });
  const { pid } = supervised.server;
  await supervised.stop();
  expect(supervised.state).toBe('stopped');
  expect(runs(pid)).toBe(false);
  expect(onExit).not.toHaveBeenCalled();
  expect(onRestart).not.toHaveBeenCalled();
});

test('a server that is stopped while it is being started again leaves nothing running', async () => {
  const supervised = await supervise({
    name: 'PostgreSQL',
    start: (port) => startPostgres({ dataDir: dir, port }),
  });
  const exit = supervised.server.exited;
  supervised.server.kill('SIGKILL');
  await exit;
  await supervised.stop();
  expect(runs(supervised.server.pid)).toBe(false);
});

test('no server outlives a parent that is SIGKILLed, and the next start has its data', async () => {
  const parent = spawn(
    process.execPath,
    ['--conditions=@cestx/source', fileURLToPath(new URL('./run-servers.fixture.ts', import.meta.url)), dir],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  ends.push(() => ended(parent));
  const [line]: Buffer[] = await once(parent.stdout, 'data');
  const pids = String(line).trim().split(' ').map(Number);
  expect(pids.map(runs)).toEqual([true, true]);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(pids.map(runs)).toEqual([false, false]), 5000);
  const postgres = await startPostgres({ dataDir: join(dir, 'postgres') });
  ends.push(() => postgres.stop());
});

async function ended(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
