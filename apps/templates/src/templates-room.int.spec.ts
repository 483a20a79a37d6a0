import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import pg from 'pg';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { sourceOf, type SourceTree } from '#builds';
import { startRoom, type RunningRoom } from '#boot';
import {
  AcceptSource,
  BuildSource,
  DiscardBuild,
  feedLineSchema,
  GetDriver,
  GetSbom,
  logSubject,
  subjectOf,
  type Artifact,
  type CommandType,
  type Failure,
  type PayloadOf,
} from '#contracts';
import { connectNats, Feeds, JetStreamObjects, Messenger, Publisher, type Objects } from '#messaging';
import { openDatabase } from '#storage';
import { eventually, startTestServers, type TestServers } from '#testing';

import { packSource } from './archive/pack-source.ts';
import { rawTar, rawZip } from './archive/raw-archives.fixture.ts';
import { BuildRow } from './build.entity.ts';
import { BuildStore } from './build.store.ts';
import { CreateBuild1763700000000 } from './create-build.migration.ts';
import { RemoveLeftoversLoop } from './remove-leftovers.loop.ts';
import { SourceRow, UploadRow } from './source.entity.ts';
import { SourceStore } from './source.store.ts';
import { templatesRoom } from './templates.module.ts';

let servers: TestServers;
let data: string;
let environment: Record<string, string>;
let connection: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let objects: Objects;
let feeds: Feeds;
let database: pg.Client;
let room: RunningRoom;

beforeAll(async () => {
  servers = await startTestServers();
  data = await mkdtemp(join(tmpdir(), 'cestx-templates-'));
  await chmod(data, 0o755);
  environment = {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('templates'),
    CESTX_LOG_LEVEL: 'silent',
    CESTX_DATA: data,
    CESTX_BUILD_MEMORY: '512Mi',
    PATH: process.env['PATH'] ?? '',
    NODE_EXTRA_CA_CERTS: process.env['NODE_EXTRA_CA_CERTS'] ?? '',
  };
  room = await startRoom(templatesRoom, environment);
  connection = await connectNats(servers.natsUrl, 'test');
  const publisher = new Publisher(connection);
  messenger = new Messenger(connection, publisher);
  objects = new JetStreamObjects(connection);
  feeds = new Feeds(connection, publisher);
  // The machines room says what runs here; this test is about processes.
  messenger.answerAll(subjectOf(GetDriver), z.object({}), () => ({
    driver: 'process',
    reason: 'a test',
    warning: null,
  }));
  database = new pg.Client({ connectionString: environment['DATABASE_URL'] });
  await database.connect();
});

afterAll(async () => {
  await room?.stop();
  await database?.end();
  await connection?.close();
  await servers?.stop();
  await rm(data, { recursive: true, force: true });
});

async function upload(archive: Buffer): Promise<string> {
  const uploadId = randomUUID();
  await objects.put(`uploads/${uploadId}`, Readable.from([archive]));
  return uploadId;
}

async function store(tree: SourceTree): Promise<string> {
  const uploadId = await upload(gzipSync(Buffer.concat([...packSource(tree)])));
  return (await messenger.ask(AcceptSource, { uploadId })).digest;
}

async function objectNames(prefix: string): Promise<string[]> {
  return (await objects.list(prefix)).map(({ name }) => name);
}

type End<C extends CommandType> = { done: PayloadOf<C['done']> } | { failed: Failure };

async function order<C extends CommandType>(command: C, id: string, payload: PayloadOf<C>): Promise<End<C>> {
  const stops: (() => void)[] = [];
  const ended = new Promise<End<C>>((resolve) => {
    stops.push(
      messenger.subscribe(command.done, id, (done) => resolve({ done: done as PayloadOf<C['done']> })),
    );
    stops.push(messenger.subscribe(command.failed, id, (failed) => resolve({ failed })));
  });
  await connection.flush();
  await messenger.send(command, id, payload);
  return await ended.finally(() => stops.forEach((stop) => stop()));
}

const build = (buildId: string, sourceDigest: string) =>
  order(BuildSource, buildId, {
    buildId,
    project: 'default',
    function: 'hello',
    sourceDigest,
    build: { args: {} },
  });
const discard = (buildId: string) => order(DiscardBuild, buildId, { buildId });

async function built(buildId: string, digest: string): Promise<Extract<Artifact, { kind: 'directory' }>> {
  const end = await build(buildId, digest);
  if (!('done' in end)) throw new Error(`not built: ${end.failed.message}`);
  if (end.done.artifact.kind !== 'directory') throw new Error('not a folder');
  return end.done.artifact;
}

async function failed(buildId: string, digest: string): Promise<Failure> {
  const end = await build(buildId, digest);
  if (!('failed' in end)) throw new Error('it was built');
  return end.failed;
}

async function foldersOf(buildId: string): Promise<string[]> {
  const names = await readdir(join(data, 'builds')).catch((): string[] => []);
  return names.filter((name) => name.includes(buildId));
}

const linesOf = (buildId: string) =>
  feeds.read(logSubject('default', 'hello', `build-${buildId}`), feedLineSchema);
const rowOf = async (buildId: string) =>
  (
    await database.query<{ state: string; log: string; attempts: number }>(
      'SELECT * FROM build WHERE id = $1',
      [buildId],
    )
  ).rows[0];

const program = (scripts: Record<string, string> = {}) =>
  sourceOf({ 'package.json': { name: `x-${randomUUID()}`, scripts }, 'server.js': 'process.exit()' });

describe('an upload', () => {
  it('is kept by its content, once, whatever it was packed in, and asked twice answers the same', async () => {
    const files = [
      { name: 'function.yaml', content: 'name: hello\n' },
      { name: 'index.js', content: `// ${randomUUID()}` },
    ];
    const uploadId = await upload(gzipSync(rawTar(files)));
    const answer = await messenger.ask(AcceptSource, { uploadId });
    expect(answer).toMatchObject({ files: 2, manifest: 'name: hello\n' });
    expect(await messenger.ask(AcceptSource, { uploadId })).toEqual(answer);
    const again = await messenger.ask(AcceptSource, { uploadId: await upload(rawZip(files.toReversed())) });
    expect(again).toEqual(answer);
    expect(await objectNames(`sources/${answer.digest}`)).toHaveLength(1);
    expect(await objectNames('uploads/')).toEqual([]);
  });

  it('that is hostile is refused by name, and nothing of it is kept', async () => {
    const before = await objectNames('sources/');
    const uploadId = await upload(gzipSync(rawTar([{ name: '../evil', content: 'x' }])));
    const refused = messenger.ask(AcceptSource, { uploadId });
    await expect(refused).rejects.toMatchObject({
      code: 'invalid-archive',
      message: expect.stringContaining('"../evil"') as string,
    });
    expect(await objectNames('sources/')).toEqual(before);
    await objects.remove(`uploads/${uploadId}`);
  });

  it('that is not there is told so', async () => {
    await expect(messenger.ask(AcceptSource, { uploadId: 'none' })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

it('an upload that nobody came back for is removed, and a fresh one is not', async () => {
  const rows = await openDatabase({
    url: environment['DATABASE_URL'] ?? '',
    entities: [BuildRow, SourceRow, UploadRow],
    migrations: [CreateBuild1763700000000],
  });
  try {
    const loop = new RemoveLeftoversLoop(
      objects,
      new BuildStore(rows),
      new SourceStore(rows),
      pino({ level: 'silent' }),
    );
    const stale = await upload(Buffer.from('x'));
    const moment = new Date(Date.now() + 5);
    await sleep(10);
    const fresh = await upload(Buffer.from('y'));
    await loop.removeOlderThan(moment, new Date(0));
    expect(await objectNames('uploads/')).toEqual([`uploads/${fresh}`]);
    expect(stale).not.toBe(fresh);
    await objects.remove(`uploads/${fresh}`);
  } finally {
    await rows.close();
  }
});

describe('a build', () => {
  it('ends with an artefact that is there, its lines on the feed in order and kept', async () => {
    const buildId = randomUUID();
    const artifact = await built(buildId, await store(program({ build: 'echo from the script' })));
    expect(existsSync(join(artifact.path, 'server.js'))).toBe(true);
    const lines = (await linesOf(buildId)).map(({ value }) => value);
    expect(lines.map(({ position }) => position)).toEqual(lines.map((_, index) => index + 1));
    expect(lines[0]).toMatchObject({
      machine: `build-${buildId}`,
      stream: 'build',
      name: 'hello',
      revision: null,
    });
    expect(lines.map(({ text }) => text)).toContain('from the script');
    expect(await rowOf(buildId)).toMatchObject({
      state: 'built',
      log: lines.map(({ text }) => text).join('\n'),
    });
    const { object } = await messenger.ask(GetSbom, { buildId });
    const sbom = await json((await objects.get(object)) ?? Readable.from([]));
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6', components: [] });
    await discard(buildId);
    expect(await objects.exists(object)).toBe(false);
    await expect(messenger.ask(GetSbom, { buildId })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('of content that was built before is not run again, and goes with the last that uses it', async () => {
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
    const digest = await store(program({ build: 'sleep 0.5' }));
    const [one, two] = await Promise.all([built(first, digest), built(second, digest)]);
    expect(two).toEqual(one);
    await discard(first);
    expect(existsSync(one.path)).toBe(true);
    expect(await built(third, digest)).toEqual(one);
    await discard(second);
    await discard(third);
    expect(existsSync(one.path)).toBe(false);
  });

  it('whose earlier artefact has vanished is made anew', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const digest = await store(program());
    await rm((await built(first, digest)).path, { recursive: true });
    expect(existsSync((await built(second, digest)).path)).toBe(true);
    await Promise.all([discard(first), discard(second)]);
  });

  it('that fails says why, with its last lines, and leaves nothing', async () => {
    const buildId = randomUUID();
    const failure = await failed(buildId, await store(program({ build: 'echo because >&2; exit 4' })));
    expect(failure).toMatchObject({
      code: 'build-failed',
      message: expect.stringMatching(/^npm run build failed: /) as string,
    });
    expect(failure.lastLines).toContain('because');
    expect(await foldersOf(buildId)).toEqual([]);
    expect((await rowOf(buildId))?.state).toBe('failed');
    await discard(buildId);
  });

  it('with nothing that could be built is told what is missing', async () => {
    const failure = await failed(randomUUID(), await store(sourceOf({ 'project/package.json': '{}' })));
    expect(failure).toMatchObject({
      code: 'bad-request',
      message: expect.stringContaining('in the folder "project"') as string,
    });
    expect((await failed(randomUUID(), 'a'.repeat(64))).code).toBe('not-found');
  });

  it('of an image is told that there is no container engine to run it', async () => {
    const end = await order(BuildSource, randomUUID(), {
      buildId: randomUUID(),
      project: 'default',
      function: 'hello',
      sourceDigest: await store(sourceOf({ 'function.yaml': 'name: hello' })),
      build: { image: 'redis:7', args: {} },
    });
    expect(end).toMatchObject({
      failed: { code: 'bad-request', message: expect.stringContaining('--driver docker') as string },
    });
  });

  it('starts clean after it was killed half-way, and goes on counting its lines', async () => {
    const buildId = randomUUID();
    const digest = await store(program());
    await mkdir(join(data, 'builds', buildId), { recursive: true });
    await writeFile(join(data, 'builds', buildId, 'half-made'), '');
    await database.query(
      `INSERT INTO build (id, project, function, source_digest, driver, state, attempts)
       VALUES ($1, 'default', 'hello', $2, 'process', 'building', 1)`,
      [buildId, digest],
    );
    const machine = `build-${buildId}`;
    const timestamp = new Date().toISOString();
    await feeds.publish(logSubject('default', 'hello', machine), {
      project: 'default',
      name: 'hello',
      revision: null,
      machine,
      stream: 'build',
      timestamp,
      text: 'before',
      position: 1,
    });
    const artifact = await built(buildId, digest);
    expect(await readdir(artifact.path)).not.toContain('half-made');
    const positions = (await linesOf(buildId)).map(({ value }) => value.position);
    expect(positions).toEqual(positions.map((_, index) => index + 1));
    await discard(buildId);
    expect(await foldersOf(buildId)).toEqual([]);
  });

  it('is given back when the room stops, and done by the next life of the room', async () => {
    const buildId = randomUUID();
    const digest = await store(program({ build: 'sleep 2' }));
    const end = built(buildId, digest);
    await eventually(async () => (await rowOf(buildId))?.state === 'building');
    await room.stop();
    expect(await foldersOf(buildId)).toEqual([]);
    room = await startRoom(templatesRoom, environment);
    expect(existsSync((await end).path)).toBe(true);
    expect((await rowOf(buildId))?.attempts).toBe(2);
    await discard(buildId);
  });
});

it('a build that takes too long is ended, told so, and leaves nothing', async () => {
  await room.stop();
  room = await startRoom(templatesRoom, { ...environment, CESTX_BUILD_TIMEOUT: '3s' });
  try {
    const buildId = randomUUID();
    const failure = await failed(buildId, await store(program({ build: 'sleep 300' })));
    expect(failure).toMatchObject({
      code: 'build-failed',
      message: 'The build took longer than 3 s, which CESTX_BUILD_TIMEOUT allows.',
    });
    // How far it got in that time is the machine's affair.
    expect(failure.lastLines).toContainEqual(expect.stringMatching(/^Template node: /));
    expect(await foldersOf(buildId)).toEqual([]);
    await discard(buildId);
  } finally {
    await room.stop();
    room = await startRoom(templatesRoom, environment);
  }
});

describe('a discarded build', () => {
  it('that runs is cancelled, and leaves nothing', async () => {
    const buildId = randomUUID();
    const end = failed(buildId, await store(program({ build: 'sleep 300' })));
    await eventually(async () =>
      (await linesOf(buildId)).some(({ value }) => value.text.includes('npm run build')),
    );
    expect(await discard(buildId)).toEqual({ done: { buildId } });
    expect((await end).code).toBe('undone');
    expect(await foldersOf(buildId)).toEqual([]);
  });

  it('that was never asked for is never built, however late its command comes', async () => {
    const buildId = randomUUID();
    expect(await discard(buildId)).toEqual({ done: { buildId } });
    expect((await failed(buildId, await store(program()))).code).toBe('undone');
    expect(await foldersOf(buildId)).toEqual([]);
  });

  it('leaves no cache behind when it was the last of its project', async () => {
    const buildId = randomUUID();
    await built(buildId, await store(program()));
    await database.query(`UPDATE build SET state = 'discarded' WHERE id <> $1`, [buildId]);
    await discard(buildId);
    expect(existsSync(join(data, 'builds', '.cache', 'default'))).toBe(false);
  });
});

describe('a build whose package registry', () => {
  let registry: Server;
  let requests = 0;
  afterEach(() => new Promise((resolve) => registry.close(resolve)));

  /** Serves one package, after so many answers of 503. */
  async function startRegistry(unavailable: number): Promise<SourceTree> {
    requests = 0;
    const archive = gzipSync(
      Buffer.concat([
        ...packSource(sourceOf({ 'package/package.json': { name: 'tiny', version: '1.0.0' } })),
      ]),
    );
    registry = createServer((request, response) => {
      if (++requests <= unavailable) return response.writeHead(503).end();
      if (request.url?.endsWith('.tgz')) return response.end(archive);
      const dist = { tarball: `http://${request.headers.host}/tiny/-/tiny-1.0.0.tgz` };
      const versions = { '1.0.0': { name: 'tiny', version: '1.0.0', dist } };
      return response.end(JSON.stringify({ name: 'tiny', 'dist-tags': { latest: '1.0.0' }, versions }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => registry.once('listening', resolve));
    const { port } = registry.address() as AddressInfo;
    const manifest = { name: `x-${randomUUID()}`, dependencies: { tiny: '1.0.0' } };
    return sourceOf({
      'package.json': manifest,
      'server.js': '',
      '.npmrc': `registry=http://127.0.0.1:${port}/\n`,
    });
  }

  it('is away for a moment is tried again', async () => {
    const buildId = randomUUID();
    const artifact = await built(buildId, await store(await startRegistry(4)));
    expect(existsSync(join(artifact.path, 'node_modules/tiny/package.json'))).toBe(true);
    expect((await linesOf(buildId)).map(({ value }) => value.text)).toContain(
      'The package registry did not answer; trying once more.',
    );
    await discard(buildId);
  });

  it('stays away fails and says so', async () => {
    const buildId = randomUUID();
    const failure = await failed(buildId, await store(await startRegistry(Infinity)));
    expect(failure.message).toMatch(/^npm install failed: the package registry did not answer \(E503\)\.$/);
    expect(await foldersOf(buildId)).toEqual([]);
    await discard(buildId);
  });
});
