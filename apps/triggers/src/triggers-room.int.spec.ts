import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import {
  GetDeadLetter,
  ListDeadLetters,
  ListTriggers,
  PauseTrigger,
  PurgeDeadLetters,
  RedriveDeadLetters,
  RemoveTriggers,
  type DeadLetter,
} from '#contracts';
import { eventually } from '#testing';

import { TriggersHouse, type TestFunction } from './triggers-room.fixture.ts';

let house: TriggersHouse;
beforeAll(async () => {
  house = await TriggersHouse.start();
});
afterAll(() => house?.stop());

const topicOf = () => `t${randomUUID().slice(0, 8)}`;
const project = 'default';

async function deadLettersOf(fn: TestFunction, count = 1): Promise<DeadLetter[]> {
  return eventually(async () => {
    const { items } = await house.messenger.ask(ListDeadLetters, { project, function: fn.name });
    return items.length >= count && items;
  });
}
async function idle(fn: TestFunction): Promise<void> {
  await eventually(async () => {
    const { items } = await house.messenger.ask(ListTriggers, { project, function: fn.name });
    return items.every(({ waiting, working }) => waiting === 0 && working === 0);
  });
}

describe('an event', () => {
  it('reaches the functions that asked for its subject, as a CloudEvent with all it had, and no others', async () => {
    const topic = topicOf();
    const wanting = await house.add(`  - subject: ${topic}.*.created`);
    const other = await house.add(`  - subject: ${topic}.*.deleted`);
    const id = await house.publish(`${topic}.eu.created`, '{"n":1}', { subject: 'größe "1"', myext: '7' });
    await eventually(() => wanting.received.length === 1);
    expect(wanting.received[0]).toMatchObject({
      body: '{"n":1}',
      headers: {
        'ce-id': id,
        'ce-type': `${topic}.eu.created`,
        'ce-source': '/test',
        'ce-specversion': '1.0',
        'ce-myext': '7',
        'content-type': 'application/json',
        'x-attempt': '1',
        'x-call-id': expect.stringContaining(wanting.name),
        'x-first-seen': expect.any(String),
        traceparent: expect.any(String),
      },
    });
    expect(decodeURIComponent(String(wanting.received[0]?.headers['ce-subject']))).toBe('größe "1"');
    await idle(wanting);
    expect(other.received).toEqual([]);
  });

  it('may be any message on NATS: its place in the stream is its id then', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: [${topic}.a, ${topic}.b]`);
    house.connection.publish(`cestx.app.default.${topic}.a`, '{"plain":true}');
    await eventually(() => fn.received.length === 1);
    expect(fn.received[0]).toMatchObject({
      body: '{"plain":true}',
      headers: {
        'ce-type': `${topic}.a`,
        'ce-id': expect.stringMatching(/^APP-\d+$/),
        'content-type': 'application/json',
      },
    });
  });

  it('may have no bytes at all', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    await house.publish(topic, '');
    await eventually(() => fn.received.length === 1);
    expect(fn.received[0]).toMatchObject({ body: '', headers: { 'content-length': '0' } });
  });

  it('is tried again with growing numbers until it succeeds, and is the same event each time', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    fn.answer = (_, count) => ({ status: [503, 429, 404, 200][count - 1] ?? 500 });
    await house.publish(topic, '1');
    await eventually(() => fn.received.length === 4);
    await idle(fn);
    expect(fn.received.map(({ headers }) => headers['x-attempt'])).toEqual(['1', '2', '3', '4']);
    expect(new Set(fn.received.map(({ headers }) => headers['x-call-id'])).size).toBe(1);
    expect(new Set(fn.received.map(({ headers }) => headers['x-first-seen'])).size).toBe(1);
  });

  it('goes to those it passes the filter of', async () => {
    const topic = topicOf();
    const fn = await house.add(
      `  - subject: ${topic}\n    filter: { prefix: { subject: eu/ }, not: { exact: { source: /spam } } }`,
    );
    await house.publish(topic, '1', { subject: 'us/1' });
    await house.publish(topic, '2', { subject: 'eu/1', source: '/spam' });
    await house.publish(topic, '3', { subject: 'eu/2' });
    await eventually(() => fn.received.length === 1);
    await idle(fn);
    expect(fn.received.map(({ body }) => body)).toEqual(['3']);
  });

  it('is handed over with others when a batch was asked for', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}\n    batch: { size: 3, within: 300ms }`);
    for (let n = 1; n <= 4; n++) await house.publish(topic, String(n));
    await eventually(() => fn.received.length === 2);
    const batches = fn.received.map(({ body }) =>
      (JSON.parse(body) as { data: number }[]).map(({ data }) => data),
    );
    expect(batches.flat().toSorted()).toEqual([1, 2, 3, 4]);
    expect(batches[0]).toHaveLength(3);
    expect(fn.received[0]?.headers['content-type']).toBe('application/cloudevents-batch+json');
    await idle(fn);
  });

  it('waits for the one before it with the same key, also while that is tried again', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}\n    orderBy: subject`);
    fn.answer = ({ body, headers }) => ({ status: body === '1' && headers['x-attempt'] === '1' ? 500 : 200 });
    for (let n = 1; n <= 5; n++) await house.publish(topic, String(n), { subject: 'k' });
    await eventually(() => fn.received.length === 6);
    expect(fn.received.map(({ body }) => body)).toEqual(['1', '1', '2', '3', '4', '5']);
  });

  it('that the function answers with an event chains functions, as deep as the limit', async () => {
    const topic = topicOf();
    const first = await house.add(`  - subject: ${topic}.in`);
    const second = await house.add(`  - subject: ${topic}.out`);
    const answer = {
      'ce-specversion': '1.0',
      'ce-id': 'r1',
      'ce-source': '/first',
      'ce-type': `${topic}.out`,
    };
    first.answer = () => ({ headers: answer, body: 'answer' });
    await house.publish(`${topic}.in`, 'x');
    await eventually(() => second.received.length === 1);
    expect(second.received[0]).toMatchObject({
      body: 'answer',
      headers: { 'ce-id': 'r1', 'cestx-depth': '1' },
    });

    const loop = await house.add(`  - subject: ${topic}.loop`);
    loop.answer = (_, count) => ({
      headers: { ...answer, 'ce-id': `l${count}`, 'ce-type': `${topic}.loop` },
    });
    await house.publish(`${topic}.loop`, 'x');
    expect(await deadLettersOf(loop)).toMatchObject([{ reason: 'loop' }]);
    expect(loop.received).toHaveLength(8);
  });
});

describe('a dead letter', () => {
  it('is what the function refuses for good, with its bytes, its headers and the answer', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    fn.answer = () => ({ status: 422, body: 'no such order' });
    const id = await house.publish(topic, '\u0000\u00ff bytes', { myext: 'kept' });
    const [letter] = await deadLettersOf(fn);
    expect(letter).toMatchObject({
      reason: 'rejected',
      attempts: 1,
      eventId: id,
      lastStatus: 422,
      lastBody: 'no such order',
      subject: `cestx.app.default.${topic}`,
    });
    const whole = await house.messenger.ask(GetDeadLetter, { project, id: letter?.id ?? '' });
    expect(Buffer.from(whole.dataBase64, 'base64').toString()).toBe('\u0000\u00ff bytes');
    expect(whole.headers).toMatchObject({ 'ce-myext': 'kept', 'ce-id': id });
    await idle(fn);
  });

  it('is what failed in every try, and what says it is an event and is none', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`, { delivery: { retry: 2 } });
    fn.answer = () => ({ status: 500 });
    await house.publish(topic, '1');
    await house.publish(topic, '2', { specversion: '0.9' });
    const letters = await deadLettersOf(fn, 2);
    expect(letters.map(({ reason, attempts }) => [reason, attempts]).toSorted()).toEqual([
      ['attempts-used-up', 3],
      ['invalid-event', 0],
    ]);
    expect(fn.received).toHaveLength(3);
  });

  it('is what the function answers with an event that is none, after as many tries as any', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`, { delivery: { retry: 1 } });
    fn.answer = () => ({
      headers: { 'ce-specversion': '0.3', 'ce-id': 'x', 'ce-type': 't', 'ce-source': '/x' },
    });
    await house.publish(topic, '1');
    expect(await deadLettersOf(fn)).toMatchObject([
      {
        reason: 'attempts-used-up',
        attempts: 2,
        lastStatus: 200,
        message: expect.stringContaining('specversion'),
      },
    ]);
    await idle(fn);
    expect(fn.received).toHaveLength(2);
  });

  it('goes to its function again when it is redriven, as the event it was, and may be purged', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    fn.answer = () => ({ status: 400 });
    const ids = [await house.publish(topic, 'a'), await house.publish(topic, 'b')];
    await deadLettersOf(fn, 2);
    fn.answer = () => ({ status: 200 });
    expect(await house.order(RedriveDeadLetters, { project, function: fn.name, perSecond: 1000 })).toEqual({
      redriven: 2,
    });
    await eventually(() => fn.received.length === 4);
    const again = fn.received.slice(2);
    expect(again.map(({ headers }) => headers['ce-id']).toSorted()).toEqual(ids.toSorted());
    expect(
      again.map(({ headers, body }) => [headers['ce-type'], headers['x-attempt'], body]).toSorted(),
    ).toEqual([
      [topic, '1', 'a'],
      [topic, '1', 'b'],
    ]);
    expect((await house.messenger.ask(ListDeadLetters, { project, function: fn.name })).items).toEqual([]);

    fn.answer = () => ({ status: 400 });
    await house.publish(topic, 'c');
    await deadLettersOf(fn);
    // One that is refused again is a dead letter again, and not handed over by the same order once more.
    expect(await house.order(RedriveDeadLetters, { project, function: fn.name, perSecond: 2 })).toEqual({
      redriven: 1,
    });
    await deadLettersOf(fn);
    expect(await house.order(PurgeDeadLetters, { project, function: fn.name })).toEqual({ purged: 1 });
    expect((await house.messenger.ask(ListDeadLetters, { project, function: fn.name })).items).toEqual([]);
  });
});

describe('a trigger', () => {
  it('of a new revision goes on where the one before was; one that is not named any more is gone', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}.a\n  - subject: ${topic}.b`);
    await fn.show(false);
    await house.publish(`${topic}.a`, 'meanwhile');
    await house.setTriggers(fn.name, `  - subject: ${topic}.a\n    filter: { exact: { source: /test } }`);
    await fn.show(true);
    await eventually(() => fn.received.length === 1);
    expect(fn.received[0]?.body).toBe('meanwhile');
    const { items } = await house.messenger.ask(ListTriggers, { project, function: fn.name });
    expect(items).toMatchObject([{ settings: { subject: [`${topic}.a`] } }]);
    const manager = await jetstreamManager(house.connection);
    const durables = (await manager.consumers.list('APP').next()).map(({ name }) => name);
    expect(durables.filter((durable) => durable.includes(fn.name))).toHaveLength(1);
  });

  it('waits while it is paused, and loses nothing', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    const [trigger] = (await house.messenger.ask(ListTriggers, { project, function: fn.name })).items;
    const key = { project, function: fn.name, triggerId: trigger?.id ?? '' };
    await house.order(PauseTrigger, { ...key, paused: true });
    await sleep(200);
    await house.publish(topic, '1');
    await sleep(300);
    expect(fn.received).toEqual([]);
    await house.order(PauseTrigger, { ...key, paused: false });
    await eventually(() => fn.received.length === 1);
  });

  it('may read a stream of the user’s own from its beginning; one that is not there is told', async () => {
    const stream = `ORDERS_${topicOf()}`;
    const manager = await jetstreamManager(house.connection);
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
    house.connection.publish(`${stream}.eu.1`, 'before');
    const fn = await house.add(`  - stream: ${stream}\n    subject: ${stream}.>\n    deliver: all`);
    await eventually(() => fn.received.length === 1);
    expect(fn.received[0]).toMatchObject({ body: 'before', headers: { 'ce-type': `${stream}.eu.1` } });
    await expect(house.setTriggers(fn.name, '  - stream: NOT_THERE')).rejects.toMatchObject({
      code: 'not-found',
    });
    await expect(house.setTriggers(fn.name, '  - stream: COMMANDS')).rejects.toMatchObject({
      code: 'bad-request',
    });
    await manager.streams.purge(stream);
    house.connection.publish(`${stream}.eu.2`, 'after a purge');
    await eventually(() => fn.received.length === 2);
  });

  it('whose consumer somebody deleted by hand is made anew', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`);
    const [trigger] = (await house.messenger.ask(ListTriggers, { project, function: fn.name })).items;
    const manager = await jetstreamManager(house.connection);
    await manager.consumers.delete('APP', `default_${fn.name}_${trigger?.id}`);
    await eventually(
      async () => {
        await house.publish(topic, 'x');
        return fn.received.length > 0;
      },
      { everyMs: 500 },
    );
  });

  it('goes with its function, and with it the work that waits for it alone', async () => {
    const fn = await house.add(`  - subject: ${topicOf()}`);
    await house.order(RemoveTriggers, { project, function: fn.name });
    await sleep(1500);
    const manager = await jetstreamManager(house.connection);
    for (const stream of ['APP', 'CALLS']) {
      const durables = (await manager.consumers.list(stream).next()).map(({ name }) => name);
      expect(durables.filter((durable) => durable.includes(fn.name))).toEqual([]);
    }
    expect((await house.messenger.ask(ListTriggers, { project, function: fn.name })).items).toEqual([]);
  });

  it('of a function that fails does not hold up another', async () => {
    const topic = topicOf();
    const failing = await house.add(`  - subject: ${topic}`, {
      delivery: { retry: 100, delay: 1000, maxDelay: 1000 },
    });
    const working = await house.add(`  - subject: ${topic}`);
    failing.answer = async () => {
      await sleep(1000);
      return { status: 503 };
    };
    for (let n = 0; n < 100; n++) await house.publish(topic, String(n));
    await eventually(() => working.received.length === 100);
  });

  it('hands over no more at a time than the function takes', async () => {
    const topic = topicOf();
    const fn = await house.add(`  - subject: ${topic}`, { concurrency: 2 });
    let now = 0;
    let most = 0;
    fn.answer = async () => {
      most = Math.max(most, ++now);
      await sleep(20);
      now--;
      return {};
    };
    for (let n = 0; n < 20; n++) await house.publish(topic, String(n));
    await eventually(() => fn.received.length === 20);
    await idle(fn);
    expect(most).toBe(2);
    expect(fn.received).toHaveLength(20);
  });
});

describe('a schedule', () => {
  it('fires each tick once, with several rooms, one of them stopped in between', async () => {
    const second = await house.addRoom();
    const fn = await house.add('  - schedule: "* * * * * *"');
    await eventually(() => fn.received.length >= 3);
    house.rooms = house.rooms.filter((room) => room !== second);
    await second.stop();
    await eventually(() => fn.received.length >= 5);
    const times = fn.received.map(({ headers }) => Date.parse(String(headers['ce-time'])));
    const first = times[0] ?? 0;
    expect(times).toEqual(times.map((_, index) => first + index * 1000));
    expect(fn.received[0]?.headers['ce-type']).toBe('cestx.schedule.tick');
    await house.order(RemoveTriggers, { project, function: fn.name });
  });

  it('that forbids overlap leaves ticks out while the one before is being dealt with', async () => {
    const fn = await house.add('  - schedule: "* * * * * *"\n    overlap: forbid');
    let underWay = 0;
    let most = 0;
    fn.answer = async () => {
      most = Math.max(most, ++underWay);
      await sleep(1500);
      underWay--;
      return {};
    };
    await eventually(() => fn.received.length >= 3);
    expect(most).toBe(1);
    const times = fn.received.map(({ headers }) => Date.parse(String(headers['ce-time'])));
    expect(times.every((time, index) => index === 0 || time - (times[index - 1] ?? 0) >= 2000)).toBe(true);
    await house.order(RemoveTriggers, { project, function: fn.name });
  });

  it('that is none is refused, and says why', async () => {
    const fn = await house.add('  - schedule: "@every 1h"');
    await expect(house.setTriggers(fn.name, '  - schedule: "* * * *"')).rejects.toMatchObject({
      code: 'bad-request',
    });
    await expect(
      house.setTriggers(fn.name, '  - schedule: "* * * * *"\n    timezone: Mars/Olympus'),
    ).rejects.toMatchObject({ code: 'bad-request' });
  });
});
