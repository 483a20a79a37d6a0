import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, mock, test } from 'node:test';

import { getTestServer } from '@google-cloud/functions-framework/testing';

import './index.js';

const server = getTestServer('onEvent');
const log = mock.method(console, 'log', () => {});
mock.method(console, 'error', () => {});

before(() => once(server.listen(0), 'listening'));
after(() => server.close());

function send(data) {
  return fetch(`http://localhost:${server.address().port}`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify({
      specversion: '1.0',
      id: '1',
      type: 'order.created',
      source: '/shop',
      subject: '7',
      ...(data === undefined ? {} : { data }),
    }),
  });
}

test('an event is logged with its data', async () => {
  assert.equal((await send({ total: 30 })).ok, true);
  const line = JSON.parse(log.mock.calls.at(-1).arguments[0]);
  assert.deepEqual(line, {
    level: 'info',
    message: 'event order.created',
    id: '1',
    source: '/shop',
    subject: '7',
    data: { total: 30 },
  });
});

test('an event without data is refused', async () => {
  assert.equal((await send(undefined)).status, 500);
});
