import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';

import { getTestServer } from '@google-cloud/functions-framework/testing';

import './index.js';

const server = getTestServer('hello');
let url;

before(async () => {
  await once(server.listen(0), 'listening');
  url = `http://localhost:${server.address().port}`;
});
after(() => server.close());

test('greets the world', async () => {
  assert.equal(await (await fetch(url)).text(), 'Hello, world!\n');
});

test('greets by name', async () => {
  assert.equal(await (await fetch(`${url}/?name=Ada`)).text(), 'Hello, Ada!\n');
});
