import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { app } from './app.js';

const server = createServer(app);
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

test('knows no other path', async () => {
  assert.equal((await fetch(`${url}/other`)).status, 404);
});
