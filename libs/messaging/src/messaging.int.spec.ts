import { randomUUID } from 'node:crypto';

import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import {
  CestxError,
  defaultScale,
  ListRoutes,
  MachineExited,
  MachineRemoved,
  RemoveMachine,
  routeEntrySchema,
  routesBucket,
  subjectOf,
  type PayloadOf,
} from '#contracts';
import { openDatabase, type Database } from '#storage';
import { eventually, startTestServers, type TestServers } from '#testing';

import { connectNats } from './connect.ts';
import { consumeMessages } from './consume-messages.ts';
import { setFailpoints } from './failpoints.ts';
import { Feeds } from './feeds.ts';
import type { HandlerTag, MessageContext } from './handlers.ts';
import { JetStreamServer } from './jetstream.server.ts';
import { KeyValues } from './key-values.ts';
import { Messenger } from './messenger.ts';
import { OutboxRelay } from './outbox-relay.ts';
import { Publisher } from './publisher.ts';
import { ensureStreams, streamNames } from './streams.ts';

const logger = pino({ level: 'silent' });
let servers: TestServers;
let connection: NatsConnection;
let database: Database;
let publisher: Publisher;
let messenger: Messenger;
let relay: OutboxRelay;
let server: JetStreamServer;

/** What the handler under test does with a message; each test sets its own by machine id. */
const behaviours = new Map<string, (context: MessageContext) => Promise<unknown>>();
const ends: { name: string; id: string; payload: unknown }[] = [];

beforeAll(async () => {
  servers = await startTestServers();
  connection = await connectNats(servers.natsUrl, 'test');
  await ensureStreams(connection);
  database = await openDatabase({ url: await servers.databaseUrl('machines'), entities: [], migrations: [] });
  publisher = new Publisher(connection);
  messenger = new Messenger(connection, publisher);
  relay = new OutboxRelay(database, publisher, 'machines', logger);
  server = new JetStreamServer({ connection, database, publisher, room: 'machines', logger, expected: [] });
  add({ kind: 'command', durable: 'remove-machine', command: RemoveMachine }, async (payload, context) => {
    const { machineId } = payload as PayloadOf<typeof RemoveMachine>;
    await behaviours.get(machineId)?.(context);
    return { done: { machineId } };
  });
  add({ kind: 'query', query: ListRoutes }, async () => {
    throw new CestxError('conflict', 'not today');
  });
  for (const event of [RemoveMachine.done, RemoveMachine.failed]) {
    messenger.subscribe(event, '*', (payload, { id }) => ends.push({ name: event.name, id, payload }));
  }
  await new Promise<void>((resolve, reject) => {
    void server.listen((error) => (error ? reject(error) : resolve()));
  });
});

afterAll(async () => {
  await server.close();
  await relay.stop();
  await database.close();
  await connection.close();
  await servers.stop();
});

function add(tag: HandlerTag, handle: (payload: unknown, context: MessageContext) => Promise<unknown>): void {
  server.addHandler(
    `${tag.kind}:${tag.kind === 'query' ? tag.query.name : tag.durable}`,
    handle as never,
    false,
    { tag },
  );
}

function endsOf(machineId: string): { name: string; payload: unknown }[] {
  return ends.filter((end) => end.id === machineId);
}

/** What lies in the dead-letter stream, oldest first. */
async function deadLetters(): Promise<{ subject: string; reason: string; data: string }[]> {
  const consumer = await jetstream(connection).consumers.get(streamNames.dead, {
    deliver_policy: DeliverPolicy.All,
  });
  const found: { subject: string; reason: string; data: string }[] = [];
  const pending = (await consumer.info()).num_pending;
  if (pending === 0) return found;
  for await (const message of await consumer.consume()) {
    found.push({
      subject: message.headers?.get('cestx-dead-subject') ?? '',
      reason: message.headers?.get('cestx-dead-reason') ?? '',
      data: message.string(),
    });
    if (found.length >= pending) break;
  }
  return found;
}

describe('a command', () => {
  it('ends in exactly one done event though its handler was cut off after the commit', async () => {
    let runs = 0;
    behaviours.set('m-commit', async () => {
      runs++;
      setFailpoints(runs === 1 ? 'remove-machine:after-commit:fail' : '');
    });
    await messenger.send(RemoveMachine, 'm-commit', { machineId: 'm-commit' });
    await eventually(() => endsOf('m-commit').length > 0);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    setFailpoints('');
    expect(runs).toBe(1);
    expect(endsOf('m-commit')).toEqual([
      { name: MachineRemoved.name, id: 'm-commit', payload: { machineId: 'm-commit' } },
    ]);
  });

  it('is tried again after a retryable error, and told apart by its attempt', async () => {
    const attempts: number[] = [];
    behaviours.set('m-retry', async ({ attempt }) => {
      attempts.push(attempt);
      if (attempt < 3) throw new CestxError('unavailable', 'not yet', { retryable: true });
    });
    await messenger.send(RemoveMachine, 'm-retry', { machineId: 'm-retry' });
    await eventually(() => endsOf('m-retry').length > 0);
    expect(attempts).toEqual([1, 2, 3]);
  });

  it('ends in its failed event, with the public text, when trying again is no use', async () => {
    behaviours.set('m-fail', async () => {
      throw new CestxError('conflict', 'it is in use', { detail: 'secret', lastLines: ['last words'] });
    });
    await messenger.send(RemoveMachine, 'm-fail', { machineId: 'm-fail' });
    await eventually(() => endsOf('m-fail').length > 0);
    expect(endsOf('m-fail')[0]).toMatchObject({
      name: RemoveMachine.failed.name,
      payload: { code: 'conflict', message: 'it is in use', lastLines: ['last words'] },
    });
    expect(JSON.stringify(endsOf('m-fail'))).not.toContain('secret');
  });

  it('is never settled once the command that undoes it was, in whichever order they come', async () => {
    const doId = randomUUID();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    behaviours.set('m-undone', () => held);
    await messenger.send(RemoveMachine, 'm-undone', { machineId: 'm-undone' }, { messageId: doId });
    await database.settle({ handler: '', messageId: randomUUID(), undoes: doId }, async () => undefined);
    release();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(endsOf('m-undone')).toEqual([]);
  });

  it('sent twice under one id runs once', async () => {
    let runs = 0;
    behaviours.set('m-twice', async () => {
      runs++;
    });
    const messageId = randomUUID();
    await messenger.send(RemoveMachine, 'm-twice', { machineId: 'm-twice' }, { messageId });
    await messenger.send(RemoveMachine, 'm-twice', { machineId: 'm-twice' }, { messageId });
    await eventually(() => endsOf('m-twice').length > 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(runs).toBe(1);
  });
});

describe('a wrong message', () => {
  it.each([
    ['not JSON', 'not json', '1', 'not JSON'],
    ['of another shape', '{"machineId": 5}', '1', 'machineId'],
    ['of an unknown version', '{"machineId": "m-v"}', '99', 'version 99'],
  ])(
    '%s is dead-lettered with its reason and does not block what is behind it',
    async (_, data, version, reason) => {
      const marker = `m-behind-${randomUUID()}`;
      await publisher.publish(subjectOf(RemoveMachine, 'm-wrong'), data, {
        messageId: randomUUID(),
        headers: { 'cestx-version': version },
      });
      await messenger.send(RemoveMachine, marker, { machineId: marker });
      await eventually(() => endsOf(marker).length > 0);
      const dead = await eventually(async () => (await deadLetters()).find((one) => one.data === data));
      expect(dead.reason).toContain(reason);
      expect(dead.subject).toBe('cestx.command.machines.remove-machine.m-wrong');
      expect(endsOf('m-wrong').at(-1)).toMatchObject({ payload: { code: 'invalid-message' } });
    },
  );
});

describe('a query', () => {
  it('throws at the asker what the answerer threw', async () => {
    await expect(messenger.ask(ListRoutes, {})).rejects.toMatchObject({
      code: 'conflict',
      message: 'not today',
    });
  });

  it('is listed by the NATS service registry', async () => {
    const reply = await connection.request('$SRV.INFO.cestx-machines');
    expect(reply.json()).toMatchObject({
      name: 'cestx-machines',
      endpoints: [{ subject: 'cestx.query.routes.list-routes' }],
    });
  });
});

describe('with the broker away', () => {
  it('what was committed is sent when it is back, KV watches go on, and live work goes on', async () => {
    const keyValues = new KeyValues(connection);
    const seen = new Map<string, unknown>();
    const stop = await keyValues.watch(routesBucket, routeEntrySchema, (key, value) =>
      seen.set(key, value?.host ?? null),
    );
    const calls = { timeout: 1, concurrency: 0, scale: defaultScale };
    const entry = { project: 'default', function: 'a', host: 'before', traffic: [], ...calls };
    await database.transaction((tx) => tx.put(routesBucket, 'default.a', entry));
    await eventually(() => seen.get('default.a') === 'before');

    servers.nats.kill('SIGKILL');
    await servers.nats.exited;
    await database.transaction(async (tx) => {
      await tx.put(routesBucket, 'default.a', { ...entry, host: 'after' });
      await tx.emit(MachineExited, 'm-away', {
        machineId: 'm-away',
        project: 'default',
        function: 'a',
        exitCode: 1,
        reason: 'test',
        lastLines: [],
      });
    });
    await servers.restartNats();
    await eventually(() => seen.get('default.a') === 'after', { timeoutMs: 20_000 });
    behaviours.set('m-back', async () => undefined);
    await messenger.send(RemoveMachine, 'm-back', { machineId: 'm-back' });
    await eventually(() => endsOf('m-back').length > 0, { timeoutMs: 20_000 });
    await stop();
    const rows: unknown[] = await database.dataSource.query('SELECT 1 FROM outbox');
    expect(rows).toEqual([]);
  });
});

describe('with the database away', () => {
  it('a command waits for it and then runs, however many tries it took', async () => {
    servers.postgres.kill('SIGKILL');
    await servers.postgres.exited;
    behaviours.set('m-db', async () => undefined);
    await messenger.send(RemoveMachine, 'm-db', { machineId: 'm-db' });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await servers.restartPostgres();
    await eventually(() => endsOf('m-db').length > 0, { timeoutMs: 30_000 });
    expect(endsOf('m-db')).toHaveLength(1);
  });
});

describe('a feed', () => {
  it('is read by filter, remembers the newest, and is followed with each line once and in order', async () => {
    const feeds = new Feeds(connection, publisher);
    const schema = z.object({ n: z.number() });
    const subject = 'cestx.feed.logs.default.feedtest.m1';
    for (let n = 1; n <= 700; n++) await feeds.publish(subject, { n }, { messageId: `feedtest-${n}` });
    await feeds.publish(subject, { n: 700 }, { messageId: 'feedtest-700' });
    expect(await feeds.last(subject, schema)).toEqual({ n: 700 });
    expect(await feeds.last('cestx.feed.logs.default.nobody.m1', schema)).toBeNull();
    expect(
      (await feeds.read('cestx.feed.logs.default.feedtest.*', schema)).map((item) => item.value.n),
    ).toHaveLength(700);
    const stop = new AbortController();
    const got: number[] = [];
    await feeds.follow('cestx.feed.logs.default.feedtest.*', 0, schema, stop.signal, async (items) => {
      got.push(...items.map((item) => item.value.n));
      if (got.length >= 700) stop.abort();
    });
    expect(got).toEqual(Array.from({ length: 700 }, (_, index) => index + 1));
  });

  it('of samples is read from a time on', async () => {
    const feeds = new Feeds(connection, publisher);
    const schema = z.object({ n: z.number() });
    const subject = 'cestx.feed.stats.default.feedtest.m1';
    await feeds.publish(subject, { n: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const since = new Date();
    await feeds.publish(subject, { n: 2 });
    const read = async (from?: Date): Promise<number[]> =>
      (await feeds.read(subject, schema, { since: from })).map((item) => item.value.n);
    expect(await read()).toEqual([1, 2]);
    expect(await read(since)).toEqual([2]);
  });
});

it('what is told is heard by everybody who listens then, and by nobody after they stopped', async () => {
  const schema = z.object({ n: z.number() });
  const heard: number[] = [];
  const stop = messenger.listen('cestx.activity.*', schema, ({ n }) => heard.push(n));
  messenger.listen('cestx.activity.a', schema, ({ n }) => heard.push(n * 10));
  await connection.flush();
  messenger.tell('cestx.activity.a', { n: 1 });
  messenger.tell('cestx.activity.a', { wrong: true });
  await eventually(() => heard.length === 2);
  stop();
  messenger.tell('cestx.activity.a', { n: 2 });
  await eventually(() => heard.length === 3);
  expect(heard.toSorted((a, b) => a - b)).toEqual([1, 10, 20]);
});

it('a durable that an earlier version made with other settings is taken over', async () => {
  const settings = { durable_name: 'taken-over', ack_policy: AckPolicy.Explicit, ack_wait: nanos(30_000) };
  for (const place of ['old', 'new']) {
    const filter_subjects = [subjectOf(MachineExited, place)];
    const config = { ...settings, filter_subjects };
    const { stop } = await consumeMessages(connection, streamNames.events, config, 1, async () => {}, logger);
    await stop();
    const manager = await jetstreamManager(connection);
    const info = await manager.consumers.info(streamNames.events, 'taken-over');
    expect([info.config.filter_subject ?? info.config.filter_subjects].flat()).toEqual(filter_subjects);
  }
});
