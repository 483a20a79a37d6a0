import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';

import { sourceOf, type SourceTree } from '#builds';
import { startRoom, type RunningRoom } from '#boot';
import { AcceptSource, BuildSource, DiscardBuild, GetDriver, subjectOf } from '#contracts';
import { connectNats, JetStreamObjects, Messenger, Publisher, type Objects } from '#messaging';
import { openDatabase, type Database } from '#storage';
import { eventually, startTestServers, type TestServers } from '#testing';

import { packSource } from './archive/pack-source.ts';
import { BuildRow } from './build.entity.ts';
import { BuildStore } from './build.store.ts';
import { CollectSourcesLoop } from './collect-sources.loop.ts';
import { SourceRow, UploadRow } from './source.entity.ts';
import { SourceStore } from './source.store.ts';
import { templatesRoom } from './templates.module.ts';

let servers: TestServers;
let data: string;
let connection: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let objects: Objects;
let database: Database;
let loop: CollectSourcesLoop;
let room: RunningRoom;

beforeAll(async () => {
  servers = await startTestServers();
  data = await mkdtemp(join(tmpdir(), 'cestx-sources-'));
  await chmod(data, 0o755);
  const url = await servers.databaseUrl('templates');
  room = await startRoom(templatesRoom, {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: url,
    CESTX_LOG_LEVEL: 'silent',
    CESTX_DATA: data,
    CESTX_BUILD_MEMORY: '512Mi',
    CESTX_BUILDS: '1',
    PATH: process.env['PATH'] ?? '',
    NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'] ?? '',
  });
  connection = await connectNats(servers.natsUrl, 'test');
  messenger = new Messenger(connection, new Publisher(connection));
  objects = new JetStreamObjects(connection);
  const driver = { driver: 'process' as const, reason: 'a test', warning: null };
  messenger.answerAll(subjectOf(GetDriver), z.object({}), () => driver);
  database = await openDatabase({ url, entities: [BuildRow, SourceRow, UploadRow], migrations: [] });
  loop = new CollectSourcesLoop(
    objects,
    new SourceStore(database),
    { CESTX_SOURCE_GRACE: 60_000 },
    pino({ level: 'silent' }),
  );
});

afterAll(async () => {
  await room?.stop();
  await database?.close();
  await connection?.close();
  await servers?.stop();
  await rm(data, { recursive: true, force: true });
});

const program = (scripts: Record<string, string> = {}) =>
  sourceOf({ 'package.json': { name: `x-${randomUUID()}`, scripts }, 'server.js': 'process.exit()' });

async function store(tree: SourceTree): Promise<string> {
  const uploadId = randomUUID();
  const archive = gzipSync(Buffer.concat([...packSource(tree)]));
  await objects.put(`uploads/${uploadId}`, Readable.from([archive]));
  return (await messenger.ask(AcceptSource, { uploadId })).digest;
}

/** Sends the command and waits for its end. */
async function build(buildId: string, sourceDigest: string): Promise<'built' | 'failed'> {
  const stops: (() => void)[] = [];
  const ended = new Promise<'built' | 'failed'>((resolve) => {
    stops.push(messenger.subscribe(BuildSource.done, buildId, () => resolve('built')));
    stops.push(messenger.subscribe(BuildSource.failed, buildId, () => resolve('failed')));
  });
  await connection.flush();
  const payload = { buildId, project: 'default', function: 'hello', sourceDigest, build: { args: {} } };
  await messenger.send(BuildSource, buildId, payload);
  return await ended.finally(() => stops.forEach((stop) => stop()));
}

async function discard(buildId: string): Promise<void> {
  await messenger.send(DiscardBuild, buildId, { buildId });
  await eventually(async () => (await stateOf(buildId)) === 'discarded');
}

async function stateOf(buildId: string): Promise<string | undefined> {
  return (await new BuildStore(database).find(buildId))?.state;
}

async function isKept(digest: string): Promise<{ row: boolean; object: boolean }> {
  const row = await database.dataSource.manager.existsBy(SourceRow, { digest });
  return { row, object: await objects.exists(`sources/${digest}`) };
}

/** Everything that is there now counts as old; what comes from now on does not. */
async function now(): Promise<Date> {
  await sleep(5);
  return new Date();
}

it('a source goes when no build needs it and it is old, and only then', async () => {
  const [unused, used, discarded, failed] = [program(), program(), program(), program({ build: 'exit 1' })];
  const [unusedDigest, usedDigest] = [await store(unused), await store(used)];
  const [discardedDigest, failedDigest] = [await store(discarded), await store(failed)];
  const [usedBuild, discardedBuild] = [randomUUID(), randomUUID()];
  expect(await build(usedBuild, usedDigest)).toBe('built');
  expect(await build(discardedBuild, discardedDigest)).toBe('built');
  await discard(discardedBuild);
  const beforeFailure = await now();
  expect(await build(randomUUID(), failedDigest)).toBe('failed');
  const again = program();
  const againDigest = await store(again);
  const moment = await now();
  const fresh = await store(program());
  await store(again);

  await loop.collectOlderThan(beforeFailure);
  expect(await isKept(failedDigest)).toEqual({ row: true, object: true });
  await loop.collectOlderThan(moment);
  for (const digest of [unusedDigest, discardedDigest, failedDigest]) {
    expect(await isKept(digest)).toEqual({ row: false, object: false });
  }
  for (const digest of [usedDigest, againDigest, fresh]) {
    expect(await isKept(digest)).toEqual({ row: true, object: true });
  }
  await discard(usedBuild);
});

it('a source stays for a build that waits for its turn', async () => {
  const running = randomUUID();
  const runs = build(running, await store(program({ build: 'sleep 300' })));
  await eventually(async () => (await stateOf(running)) === 'building');
  const waiting = randomUUID();
  const digest = await store(program());
  const waits = build(waiting, digest);
  await eventually(async () => (await stateOf(waiting)) === 'waiting');
  await loop.collectOlderThan(await now());
  expect(await isKept(digest)).toEqual({ row: true, object: true });
  await discard(running);
  expect(await runs).toBe('failed');
  expect(await waits).toBe('built');
  await discard(waiting);
});

it('an object whose row is gone is removed once it is old, and one that a build came to need is not', async () => {
  const [orphan, needed] = [await store(program()), await store(program())];
  await database.dataSource.query('DELETE FROM upload');
  await database.dataSource.query('DELETE FROM source');
  const buildId = randomUUID();
  expect(await build(buildId, needed)).toBe('built');
  await loop.collectOlderThan(new Date(Date.now() - 60_000));
  expect((await isKept(orphan)).object).toBe(true);
  await loop.collectOlderThan(await now());
  expect(await isKept(orphan)).toEqual({ row: false, object: false });
  expect((await isKept(needed)).object).toBe(true);
  await discard(buildId);
});

it('content that was collected is built when it is uploaded again', async () => {
  const tree = program();
  const digest = await store(tree);
  await loop.collectOlderThan(await now());
  expect(await isKept(digest)).toEqual({ row: false, object: false });
  expect(await build(randomUUID(), digest)).toBe('failed');
  expect(await store(tree)).toBe(digest);
  const buildId = randomUUID();
  expect(await build(buildId, digest)).toBe('built');
  await discard(buildId);
});

it('content that is uploaded again while it is collected is kept', async () => {
  const tree = program();
  const digest = await store(tree);
  for (let turn = 0; turn < 25; turn++) {
    const moment = await now();
    await Promise.all([loop.collectOlderThan(moment), sleep(turn % 10).then(() => store(tree))]);
    expect(await isKept(digest)).toEqual({ row: true, object: true });
  }
});
