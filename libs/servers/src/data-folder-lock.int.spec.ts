import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { lockDataFolder } from './data-folder-lock.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cestx-lock-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('a second platform on the same folder is refused with a sentence that names the first', async () => {
  const lock = await lockDataFolder(dir);
  await expect(lockDataFolder(dir)).rejects.toThrow(`another CestX (process ${process.pid}) works on ${dir}`);
  await lock.release();
  await (await lockDataFolder(dir)).release();
  expect(await readdir(dir)).toEqual([]);
});

test('of many that start at once, one gets the folder', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDataFolder(dir)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('the lock of a platform that was SIGKILLed is taken over', async () => {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@cestx/source',
      '--input-type=module',
      '--eval',
      `const { lockDataFolder } = await import(${JSON.stringify(join(import.meta.dirname, 'data-folder-lock.ts'))});
       await lockDataFolder(${JSON.stringify(dir)}); console.log('locked'); setInterval(() => {}, 1000);`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  await expect(lockDataFolder(dir)).rejects.toThrow(`process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await (await lockDataFolder(dir)).release();
});

test.each([
  ['a process that has the number by now but started at another time', { startedAt: '1' }],
  ['a process of an earlier boot', { boot: 'another-boot' }],
])('the lock of %s is stale', async (_, change) => {
  const lock = await lockDataFolder(dir);
  await lock.release();
  const holder = { pid: process.pid, startedAt: '1', boot: '', ...change };
  await writeFile(join(dir, 'lock'), JSON.stringify(holder));
  await (await lockDataFolder(dir)).release();
});

test('a lock file that is half written does not lock anybody out', async () => {
  await writeFile(join(dir, 'lock'), '{"pid":');
  await (await lockDataFolder(dir)).release();
});
