import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  ListLogLines,
  feedLineSchema,
  logSubject,
  SubscribeLogs,
  UnsubscribeLogs,
  type CommandType,
  type FeedLine,
  type LogLine,
  type PayloadOf,
} from '#contracts';
import { connectNats, Feeds, Messenger, Publisher } from '#messaging';
import { eventually, startTestServers, type TestServers } from '#testing';

import { logsRoom } from './logs.module.ts';

let servers: TestServers;
let environment: Record<string, string>;
let connection: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let feeds: Feeds;
let database: pg.Client;
let room: RunningRoom | undefined;
let name: string;
let functions = 0;

beforeAll(async () => {
  servers = await startTestServers();
  environment = {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('logs'),
    CESTX_LOG_LEVEL: 'silent',
  };
  room = await startRoom(logsRoom, environment);
  connection = await connectNats(servers.natsUrl, 'test');
  const publisher = new Publisher(connection);
  messenger = new Messenger(connection, publisher);
  feeds = new Feeds(connection, publisher);
  await connectDatabase();
});

beforeEach(async () => {
  room ??= await startRoom(logsRoom, environment);
  name = `fn${(functions += 1)}`;
});

afterAll(async () => {
  await room?.stop();
  await database?.end();
  await connection?.close();
  await servers?.stop();
});

async function connectDatabase(): Promise<void> {
  database = new pg.Client({ connectionString: environment['DATABASE_URL'] });
  database.on('error', () => undefined);
  await database.connect();
}

function line(position: number, more: Partial<FeedLine> = {}): FeedLine {
  return {
    project: 'default',
    name,
    revision: `${name}-v1`,
    machine: `${name}-m1`,
    stream: 'stdout',
    timestamp: new Date().toISOString(),
    text: `line ${position}`,
    position,
    ...more,
  };
}

async function say(...lines: FeedLine[]): Promise<void> {
  await Promise.all(lines.map((one) => feeds.publish(logSubject(one.project, one.name, one.machine), one)));
}

type Asked = Omit<Partial<Parameters<typeof messenger.ask<typeof ListLogLines>>[1]>, 'project' | 'function'>;
function list(more: Asked = {}) {
  return messenger.ask(
    ListLogLines,
    { project: 'default', function: name, ...more },
    { timeoutMs: (more.waitMs ?? 0) + 5000 },
  );
}

async function texts(more: Asked = {}): Promise<string[]> {
  return (await list(more)).items.map((item) => item.text);
}

async function keptOf(machine: string): Promise<number[]> {
  const sql = 'SELECT position FROM log_line WHERE machine = $1 ORDER BY id';
  return (await database.query<{ position: number }>(sql, [machine])).rows.map((row) => row.position);
}

/** Sends a command and waits for its end: the payload of the done or of the failed event. */
async function order<C extends CommandType>(command: C, payload: PayloadOf<C>): Promise<unknown> {
  const id = randomUUID();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const ends = [command.done, command.failed].map((event) => messenger.subscribe(event, id, resolve));
  await connection.flush();
  await messenger.send(command, id, payload);
  const end = await promise;
  for (const unsubscribe of ends) unsubscribe();
  return end;
}

const key = () => ({ project: 'default', function: name });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** The built room, as `npm test` has left it in dist: only a process can be killed. */
async function startRoomProcess(): Promise<ChildProcess> {
  const main = new URL('../../../dist/apps/logs/src/main.js', import.meta.url).pathname;
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const started = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => undefined)]);
  if (!started) throw new Error('the logs room did not start; is dist built?');
  return child;
}

describe('the logs room', () => {
  it('keeps lines that nobody has subscribed to yet: the first ones, and those of a start that fails', async () => {
    await say(
      line(1, { machine: `build-${name}`, stream: 'build', text: 'npm ci', revision: null }),
      line(1),
      line(2),
    );
    await eventually(async () => expect(await texts()).toEqual(['npm ci', 'line 1', 'line 2']));
    const [build, first] = (await list()).items;
    expect(build).toMatchObject({ stream: 'build', revision: null, machine: `build-${name}` });
    expect(first).toMatchObject({ name, revision: `${name}-v1`, machine: `${name}-m1`, stream: 'stdout' });
  });

  it('keeps a line once however often the feed brings it', async () => {
    await say(line(1), line(2));
    await say(line(2), line(1), line(3));
    await eventually(async () => expect(await texts()).toEqual(['line 1', 'line 2', 'line 3']));
  });

  it('keeps the fields of a JSON line and finds call and trace in them', async () => {
    const text = '{"level":30,"callId":"c-1","trace_id":"0af7651916cd43dd8448eb211c80319c","msg":"hi"}';
    await say(line(1, { text }));
    await eventually(async () =>
      expect((await list()).items[0]).toMatchObject({
        text,
        callId: 'c-1',
        traceId: '0af7651916cd43dd8448eb211c80319c',
      }),
    );
  });

  it('keeps any text: NULs are left out, the rest comes back as it was said', async () => {
    await say(
      line(1, { text: 'a\0b' }),
      line(2, { text: 'çüö 😀 \u001b[31m' }),
      line(3, { text: 'half \ud83d' }),
    );
    await eventually(async () => expect(await texts()).toEqual(['ab', 'çüö 😀 \u001b[31m', 'half \ufffd']));
  });

  it('does not stop at what is no line', async () => {
    const publisher = new Publisher(connection);
    await say(line(1));
    await publisher.publish(logSubject('default', name, 'm1'), 'not JSON');
    await publisher.publish(logSubject('default', name, 'm1'), '{"text":7}');
    await say(line(2));
    await eventually(async () => expect(await texts()).toEqual(['line 1', 'line 2']));
  });

  it('lists by tail, time, machine and page', async () => {
    const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
    for (const position of range(1, 10)) await say(line(position, { timestamp: at(position) }));
    await say(line(1, { machine: 'other', text: 'other', timestamp: at(11) }));
    await eventually(async () => expect(await texts()).toHaveLength(11));

    expect(await texts({ tail: 2 })).toEqual(['line 10', 'other']);
    expect(await texts({ tail: 0 })).toEqual([]);
    expect(await texts({ tail: 100 })).toHaveLength(11);
    expect(await texts({ machine: 'other' })).toEqual(['other']);
    expect(await texts({ tail: 1, machine: `${name}-m1` })).toEqual(['line 10']);
    expect(await texts({ since: at(10) })).toEqual(['line 10', 'other']);

    const first = await list({ limit: 5 });
    const second = await list({ limit: 5, after: first.nextCursor ?? '' });
    const third = await list({ limit: 5, after: second.nextCursor ?? '' });
    expect([first, second, third].map((page) => page.items.length)).toEqual([5, 5, 1]);
    expect(third.nextCursor).toBeNull();
    const paged = await list({ tail: 4, limit: 3 });
    expect(paged.items.map((item) => item.text)).toEqual(['line 8', 'line 9', 'line 10']);
    expect(await texts({ tail: 4, after: paged.nextCursor ?? '' })).toEqual(['other']);
    await expect(list({ after: "1' or 1=1" })).rejects.toMatchObject({ code: 'bad-request' });
  });

  it('follows: waits for the next line, is told at once, and keeps its place', async () => {
    await say(line(1));
    await eventually(async () => expect(await texts()).toHaveLength(1));
    const start = await list({ tail: 0, waitMs: 10 });
    expect(start.items).toEqual([]);

    const waiting = list({ after: start.nextCursor ?? '', waitMs: 5000 });
    await sleep(200);
    const said = Date.now();
    await say(line(2));
    const next = await waiting;
    expect(next.items.map((item) => item.text)).toEqual(['line 2']);
    expect(Date.now() - said).toBeLessThan(900);

    const began = Date.now();
    const nothing = await list({ after: next.nextCursor ?? '', waitMs: 300 });
    expect(nothing).toEqual({ items: [], nextCursor: next.nextCursor });
    expect(Date.now() - began).toBeGreaterThanOrEqual(290);
  });

  it('shows a follower every line once and in order, while several machines talk at the same time', async () => {
    const machines = ['a', 'b', 'c', 'd'].map((letter) => `${name}-${letter}`);
    const followed: LogLine[] = [];
    const talking = Promise.all(
      machines.map(async (machine) => {
        for (const position of range(1, 250)) await say(line(position, { machine }));
      }),
    );
    for (let after = '0'; followed.length < 1000;) {
      const page = await list({ after, waitMs: 3000, limit: 100 });
      expect(page.items.length).toBeGreaterThan(0);
      followed.push(...page.items);
      after = page.nextCursor ?? after;
    }
    await talking;
    for (const machine of machines) {
      expect(followed.filter((item) => item.machine === machine).map((item) => item.text)).toEqual(
        range(1, 250).map((position) => `line ${position}`),
      );
    }
  });

  it('subscribes once and remembers which deployment did', async () => {
    expect(await order(SubscribeLogs, { ...key(), deploymentId: 'd1' })).toEqual({ created: true });
    expect(await order(SubscribeLogs, { ...key(), deploymentId: 'd1' })).toEqual({ created: true });
    expect(await order(SubscribeLogs, { ...key(), deploymentId: 'd2' })).toEqual({ created: false });
    await order(UnsubscribeLogs, { ...key(), createdBy: 'd2' });
    const subscribed = 'SELECT created_by FROM subscription WHERE "function" = $1';
    expect((await database.query(subscribed, [name])).rows).toEqual([{ created_by: 'd1' }]);
    await order(UnsubscribeLogs, { ...key(), createdBy: 'd1' });
    expect((await database.query(subscribed, [name])).rows).toEqual([]);
  });

  it('keeps the lines of a failed deployment, and forgets all of a removed function, also what comes late', async () => {
    await order(SubscribeLogs, { ...key(), deploymentId: 'd1' });
    await say(line(1));
    await eventually(async () => expect(await texts()).toHaveLength(1));
    await order(UnsubscribeLogs, { ...key(), createdBy: 'd1' });
    expect(await texts()).toEqual(['line 1']);

    const late = line(2);
    await sleep(2);
    await order(UnsubscribeLogs, { ...key(), createdBy: null });
    expect(await texts()).toEqual([]);
    await sleep(2);
    await say(late, line(1, { machine: `${name}-m2`, text: 'deployed again' }));
    await eventually(async () => expect(await texts()).toEqual(['deployed again']));

    // What was said before the removal stays away, whatever becomes of the deployment after it.
    expect(await order(SubscribeLogs, { ...key(), deploymentId: 'd2' })).toEqual({ created: true });
    await order(UnsubscribeLogs, { ...key(), createdBy: 'd2' });
    await say({ ...late, position: 3 }, line(2, { machine: `${name}-m2`, text: 'and again' }));
    await eventually(async () => expect(await texts()).toEqual(['deployed again', 'and again']));
  });

  it('loses and repeats nothing when it is killed again and again while lines pour in', async () => {
    await room?.stop();
    room = undefined;
    const count = 10_000;
    const machine = `${name}-poured`;
    const pouring = (async () => {
      for (let from = 1; from <= count; from += 50) {
        await say(...range(from, from + 49).map((position) => line(position, { machine })));
        await sleep(12);
      }
    })();
    for (let kill = 0; kill < 4; kill += 1) {
      const child = await startRoomProcess();
      await eventually(async () => expect((await keptOf(machine)).length).toBeGreaterThan(0));
      await sleep(150 + 150 * kill);
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    room = await startRoom(logsRoom, environment);
    await pouring;
    await eventually(async () => expect((await keptOf(machine)).length).toBe(count), { timeoutMs: 20_000 });
    expect(await keptOf(machine)).toEqual(range(1, count));
  });

  it('keeps each line once when two processes read the same feed, and goes on when one ends', async () => {
    const second = await startRoom(logsRoom, environment);
    const machine = `${name}-shared`;
    for (let from = 1; from <= 2000; from += 100) {
      await say(...range(from, from + 99).map((position) => line(position, { machine })));
    }
    await eventually(async () => expect(await keptOf(machine)).toEqual(range(1, 2000)));
    await room?.stop();
    room = second;
    await say(line(2001, { machine }));
    await eventually(async () => expect(await keptOf(machine)).toEqual(range(1, 2001)), {
      timeoutMs: 15_000,
    });
  });

  it('goes on where it was when PostgreSQL and the broker were killed', async () => {
    const machine = `${name}-storm`;
    await say(line(1, { machine }));
    await eventually(async () => expect(await keptOf(machine)).toEqual([1]));
    await servers.restartPostgres();
    await say(line(2, { machine }));
    await connectDatabase();
    await eventually(async () => expect(await keptOf(machine)).toEqual([1, 2]));
    await servers.restartNats();
    await say(line(3, { machine }));
    await eventually(async () => expect(await keptOf(machine)).toEqual([1, 2, 3]), { timeoutMs: 20_000 });
  });

  it('keeps every line the broker has stored, in order, when the broker is killed while lines pour in', async () => {
    const machine = `${name}-broken`;
    const count = 3000;
    const pouring = (async () => {
      // One after the other, as a machine's lines are sent: the next when the broker has stored the last.
      for (const position of range(1, count)) await say(line(position, { machine }));
    })();
    for (let kill = 0; kill < 3; kill += 1) {
      await sleep(200);
      await servers.restartNats();
    }
    await pouring;
    await say(line(count + 1, { machine }));
    await eventually(async () => (await keptOf(machine)).at(-1) === count + 1, { timeoutMs: 20_000 });
    const kept = await keptOf(machine);
    expect(kept).toEqual(kept.toSorted((a, b) => a - b));
    // The feed is written through lazily: what the broker had taken but not yet written when it was killed, nobody has.
    const onFeed = await feeds.read(logSubject('default', name, machine), feedLineSchema);
    const stored = new Set(onFeed.map((item) => item.value.position));
    expect([...stored].filter((position) => !kept.includes(position))).toEqual([]);
  });

  it('keeps what is said after the feed was made anew', async () => {
    const machine = `${name}-anew`;
    await database.query('UPDATE feed_place SET sequence = 100000000');
    await room?.stop();
    room = await startRoom(logsRoom, environment);
    await say(line(1, { machine }));
    await eventually(async () => expect(await keptOf(machine)).toEqual([1]));
  });
});
