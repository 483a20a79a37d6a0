import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { eventually } from '#testing';

import { deployAndWait, removeAndWait } from './harness/deploy.ts';
import { House, houseKinds, type HouseKind } from './harness/house.ts';
import { leftoversOf } from './harness/look-inside.ts';
import { nodeApp, uniqueName } from './harness/sample-apps.ts';

/** Keeps what it was handed, refuses what says so, and gives all of it back when asked. */
const collector = `
const got = [];
require('node:http').createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => (body += chunk));
  request.on('end', () => {
    if (request.method === 'GET') return response.end(JSON.stringify(got));
    got.push({ id: request.headers['ce-id'], type: request.headers['ce-type'], attempt: request.headers['x-attempt'], body });
    response.statusCode = body.includes('refuse') ? 422 : 200;
    response.end('no');
  });
}).listen(process.env.PORT);
`;

describe.each(houseKinds)('events [$mode, $driver]', (kind: HouseKind) => {
  let house: House;
  let name: string;
  beforeAll(async () => {
    house = await House.start(kind);
    name = uniqueName('events');
    const triggers = `triggers:\n  - subject: ${name}.*.created\n  - schedule: "* * * * * *"\ndelivery: { retry: 1, delay: 50ms }\n`;
    await deployAndWait(house, await nodeApp(name, collector, triggers));
  });
  afterAll(() => house?.stop());

  const publish = (body: string, headers: Record<string, string>) =>
    house.call('/v1/events', { body, headers: { authorization: `Bearer ${house.key}`, ...headers } });
  const got = async () =>
    JSON.parse((await house.call(`/function/${name}`)).body) as { id: string; type: string; body: string }[];
  const event = (id: string) => ({
    'content-type': 'application/json',
    'ce-specversion': '1.0',
    'ce-id': id,
    'ce-source': '/shop',
    'ce-type': `${name}.eu.created`,
  });

  test('one that is published over HTTP reaches the function that asked for it, once', async () => {
    expect((await publish('{"n":1}', event('e1'))).status).toBe(202);
    expect((await publish('{"n":1}', event('e1'))).status).toBe(202);
    const batch = [2, 3].map((n) => ({
      specversion: '1.0',
      id: `e${n}`,
      source: '/shop',
      type: `${name}.us.created`,
      data: { n },
    }));
    const answer = await publish(JSON.stringify(batch), {
      'content-type': 'application/cloudevents-batch+json',
    });
    expect(JSON.parse(answer.body)).toMatchObject({
      items: [{ subject: `cestx.app.default.${name}.us.created` }, {}],
    });
    await eventually(async () => (await got()).filter(({ type }) => type.startsWith(name)).length === 3);
    const mine = (await got()).filter(({ type }) => type.startsWith(name));
    expect(mine.map(({ id }) => id).toSorted()).toEqual(['e1', 'e2', 'e3']);
  });

  test('what is none is refused before anything is stored', async () => {
    const wrong = await publish('{}', { ...event('e9'), 'ce-specversion': '0.3' });
    expect({ status: wrong.status, body: JSON.parse(wrong.body) as object }).toMatchObject({
      status: 400,
      body: { code: 'invalid-event', detail: expect.stringContaining('specversion') },
    });
    expect((await publish('{}', { 'content-type': 'application/json' })).status).toBe(400);
    expect((await house.call('/v1/events', { body: '{}', headers: event('e9') })).status).toBe(401);
  });

  test('one the function refuses is a dead letter, which can be looked at and purged', async () => {
    await publish('"refuse"', event('d1'));
    const letter = await eventually(async () => {
      const { items } = await house.client.listDeadLetters({ function: name });
      return items[0];
    });
    expect(letter).toMatchObject({ eventId: 'd1', reason: 'rejected', lastStatus: 422, lastBody: 'no' });
    expect(await house.client.purgeDeadLetters({ function: name })).toEqual({ purged: 1 });
  });

  test('a schedule fires, and both triggers are told', async () => {
    await eventually(async () => (await got()).some(({ type }) => type === 'cestx.schedule.tick'));
    const { items } = await house.client.listTriggers({ function: name });
    expect(items.map(({ state, settings }) => [state, settings.kind]).toSorted()).toEqual([
      ['active', 'schedule'],
      ['active', 'subject'],
    ]);
  });

  test('a removed function leaves no trigger behind', async () => {
    await removeAndWait(house, name);
    expect((await house.client.listTriggers({ function: name })).items).toEqual([]);
    expect(await leftoversOf(house, name, { keepsLines: true })).toEqual([]);
  });
});
