import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, mock, test } from 'node:test';

mock.method(console, 'log', () => {});
process.env.PORT = '0';
const { server } = await import('./server.mjs');
let url;

before(async () => {
  if (!server.listening) await once(server, 'listening');
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => server.close());

test('greets by name', async () => {
  assert.equal(await (await fetch(`${url}/?name=Ada`)).text(), 'Hello, Ada');
});

test('is healthy', async () => {
  assert.equal((await fetch(`${url}/_/health`)).status, 200);
});
