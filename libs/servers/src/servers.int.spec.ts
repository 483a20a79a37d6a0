import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { startNats } from './nats-server.ts';
import { startPostgres } from './postgres.ts';

let dir: string;
const ends: (() => Promise<void>)[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cestx-servers-'));
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await rm(dir, { recursive: true, force: true });
});

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test('rows written before a SIGKILL of PostgreSQL are there after a second start on the same data', async () => {
  const first = await startPostgres({ dataDir: dir });
  ends.push(() => first.stop());
  const url = await first.createRoomDatabase('machines');
  await query(url, 'CREATE TABLE kept (id int)');
  await query(url, 'INSERT INTO kept VALUES (7)');
  first.kill('SIGKILL');
  await first.exited;
  const second = await startPostgres({ dataDir: dir, port: first.port });
  ends.push(() => second.stop());
  expect(await query(url, 'SELECT id FROM kept')).toEqual([{ id: 7 }]);
});

test('starts although postmaster.pid names a process that is somebody else’s by now', async () => {
  const first = await startPostgres({ dataDir: dir });
  await first.stop();
  await writeFile(
    join(dir, 'cluster/postmaster.pid'),
    `${process.ppid}\n${dir}/cluster\n0\n1\n\n127.0.0.1\n`,
  );
  const second = await startPostgres({ dataDir: dir });
  ends.push(() => second.stop());
  expect(await query(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a room cannot connect to the database of another room', async () => {
  const postgres = await startPostgres({ dataDir: dir });
  ends.push(() => postgres.stop());
  const machines = await postgres.createRoomDatabase('machines');
  await postgres.createRoomDatabase('routes');
  await expect(query(machines.replace(/machines$/, 'routes'), 'SELECT 1')).rejects.toThrow(
    /permission denied/,
  );
  await expect(query(machines.replace(/machines$/, 'postgres'), 'SELECT 1')).rejects.toThrow(
    /permission denied/,
  );
});

test('the database of a room is made once, however many ask at once, and its URL stays the same', async () => {
  const postgres = await startPostgres({ dataDir: dir });
  ends.push(() => postgres.stop());
  const urls = await Promise.all(Array.from({ length: 5 }, () => postgres.createRoomDatabase('logs')));
  expect(new Set(urls).size).toBe(1);
  expect(await query(urls[0] ?? '', 'SELECT current_user AS who')).toEqual([{ who: 'logs' }]);
});

test('a port that is taken is told as such, by both servers', async () => {
  const nats = await startNats({ dataDir: join(dir, 'nats') });
  ends.push(() => nats.stop());
  await expect(startNats({ dataDir: join(dir, 'other'), port: nats.port })).rejects.toThrow(
    `port ${nats.port}, which nats-server needs, is taken by another program`,
  );
  await expect(startPostgres({ dataDir: join(dir, 'postgres'), port: nats.port })).rejects.toThrow(
    `port ${nats.port}, which PostgreSQL needs, is taken by another program`,
  );
});

test('secrets on disk are readable by their owner only', async () => {
  const nats = await startNats({ dataDir: dir });
  ends.push(() => nats.stop());
  const { stat } = await import('node:fs/promises');
  for (const file of ['token', 'nats-server.conf'])
    expect((await stat(join(dir, file))).mode & 0o777).toBe(0o600);
  expect(nats.url).toContain((await readFile(join(dir, 'token'), 'utf8')).trim());
});
