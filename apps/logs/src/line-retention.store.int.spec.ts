import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';

import type { FeedLine } from '#contracts';
import { openDatabase, type Database } from '#storage';
import { startTestServers, type TestServers } from '#testing';

import { LineRetentionStore } from './line-retention.store.ts';
import { LogLineStore } from './log-line.store.ts';
import { logsRoom } from './logs.module.ts';
import { SubscriptionStore } from './subscription.store.ts';

const hour = 3_600_000;
const retention = { subscribed: 7 * 24 * hour, unsubscribed: 24 * hour, linesPerFunction: 100 };
const now = Date.UTC(2026, 5, 15);

let servers: TestServers;
let database: Database;
let lines: LogLineStore;
let store: LineRetentionStore;
let place = 0;

beforeAll(async () => {
  servers = await startTestServers();
  const { entities, migrations } = logsRoom;
  database = await openDatabase({ url: await servers.databaseUrl('logs'), entities, migrations });
  lines = new LogLineStore(database);
  store = new LineRetentionStore(database);
});

beforeEach(async () => {
  for (const table of ['log_line', 'subscription']) {
    await database.dataSource.query(`DELETE FROM ${table}`);
  }
});

afterAll(async () => {
  await database?.close();
  await servers?.stop();
});

async function keep(name: string, count: number, hoursAgo: number, first = 1): Promise<void> {
  const kept = Array.from({ length: count }, (_, i): FeedLine => ({
    project: 'default',
    name,
    revision: null,
    machine: `${name}-m`,
    stream: 'stdout',
    timestamp: new Date(now - hoursAgo * hour).toISOString(),
    text: `${hoursAgo} hours ago`,
    position: first + i,
  }));
  const next = place + count;
  expect(await lines.keep(kept, place, next)).toBe(true);
  place = next;
}

const left = async (name: string) =>
  (await lines.list({ project: 'default', function: name }, 100_000)).map((row) => row.position);
const subscribe = (name: string) =>
  database.transaction((tx) =>
    new SubscriptionStore().subscribe(tx, { project: 'default', function: name }, 'd1'),
  );

it('keeps lines of a subscribed function longer than those of one that never came to live', async () => {
  await subscribe('live');
  for (const name of ['live', 'failed']) {
    await keep(name, 1, 8 * 24, 1);
    await keep(name, 1, 25, 2);
    await keep(name, 1, 23, 3);
  }
  expect(await store.prune(retention, now)).toBe(3);
  expect(await left('live')).toEqual([2, 3]);
  expect(await left('failed')).toEqual([3]);
});

it('keeps the newest lines of a noisy function and touches no other', async () => {
  await subscribe('noisy');
  await subscribe('quiet');
  await keep('quiet', 3, 1);
  await keep('noisy', 25_000, 1);
  expect(await store.prune(retention, now)).toBe(24_900);
  expect(await left('noisy')).toEqual(Array.from({ length: 100 }, (_, i) => 24_901 + i));
  expect(await left('quiet')).toEqual([1, 2, 3]);
  expect(await store.prune(retention, now)).toBe(0);
});

it('drops the note about a removed function once no line of it can come any more', async () => {
  const remove = (name: string, at: number) =>
    database.transaction((tx) =>
      new SubscriptionStore().remove(tx, { project: 'default', function: name }, new Date(at)),
    );
  await remove('gone', now - 8 * 24 * hour);
  await remove('going', now - hour);
  await remove('back', now - 8 * 24 * hour);
  await subscribe('back');
  await store.prune(retention, now);
  expect(await database.dataSource.query('SELECT "function" FROM subscription ORDER BY 1')).toEqual([
    { function: 'back' },
    { function: 'going' },
  ]);
});

it('keeps nothing for a reader whose place somebody else has moved', async () => {
  await keep('live', 1, 1);
  expect(await lines.keep([], place - 1, place + 5)).toBe(false);
  expect(await lines.place()).toBe(place);
});
