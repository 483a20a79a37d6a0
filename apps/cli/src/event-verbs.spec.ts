import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { runProgram } from './program.ts';

let server: Server;
let answer: RequestListener;
const asked: string[] = [];
const sent: string[] = [];

beforeEach(async () => {
  asked.length = 0;
  sent.length = 0;
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    void text(request).then((body) => {
      sent.push(body);
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

function answerWith(value: object, status = 200): void {
  answer = (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value));
  };
}

async function run(argv: string[], input = '') {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  stdin.end(input);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { CESTX_URL: url, CESTX_KEY: 'k' };
  const { signal } = new AbortController();
  const exitCode = await runProgram(argv, { environment, folder: '/', stdin, stdout, stderr, signal });
  stdout.end();
  stderr.end();
  return { exitCode, stdout: await text(stdout), stderr: await text(stderr) };
}

test('an event is published with its bytes as they are, and the subject is told', async () => {
  const item = { id: 'e1', subject: 'cestx.app.default.orders.created' };
  answerWith({ items: [item] }, 202);
  const args = ['events', 'publish', 'orders.created', '--id', 'e1'];
  const json = '{"total": 1.0}';
  const published = await run([...args, '-d', json, '--subject', 's', '--attribute', 'region=eu=1']);
  expect(published).toEqual({
    exitCode: 0,
    stdout: 'Published e1 on cestx.app.default.orders.created\n',
    stderr: '',
  });
  expect(JSON.parse((await run([...args, '-d', '-', '--json'], 'hello')).stdout)).toEqual(item);
  await run(['events', 'publish', 'ping']);
  const [first, second, third] = sent.map((body) => (JSON.parse(body) as object[])[0]);
  expect(first).toEqual({
    specversion: '1.0',
    id: 'e1',
    source: 'cestx-cli',
    type: 'orders.created',
    time: expect.any(String) as string,
    subject: 's',
    region: 'eu=1',
    datacontenttype: 'application/json',
    data_base64: Buffer.from(json).toString('base64'),
  });
  expect(second).toMatchObject({ datacontenttype: 'text/plain', data_base64: btoa('hello') });
  expect(third).toMatchObject({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
  expect(third).not.toHaveProperty('datacontenttype');
});

test('what is no attribute of its own, and a file that is not there, are wrong usage and reach nobody', async () => {
  const publish = (...args: string[]) => run(['events', 'publish', 'a', ...args]);
  expect(await publish('--attribute', 'Region=eu')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('--attribute name=value') as string,
  });
  expect(await publish('--attribute', 'id=2')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('--id') as string,
  });
  expect((await publish('-d', '@/nowhere/at-all')).exitCode).toBe(2);
  expect(asked).toEqual([]);
});

const trigger = {
  id: '0a1b2c3d4e5f',
  project: 'default',
  function: 'ship',
  settings: {
    kind: 'subject',
    id: '0a1b2c3d4e5f',
    subject: ['orders.>'],
    deliver: { sequence: 7 },
    filter: { exact: { source: '/shop' } },
    batch: { size: 32, within: 100 },
  },
  state: 'active',
  reason: null,
  waiting: 12,
  working: 1,
  nextAt: null,
  createdAt: '2026-01-02T03:04:05.678Z',
};
const schedule = {
  ...trigger,
  id: 'ffffffffffff',
  settings: {
    kind: 'schedule',
    id: 'ffffffffffff',
    schedule: '0 3 * * *',
    timezone: 'UTC',
    overlap: 'allow',
    missed: 'once',
  },
  state: 'paused',
  waiting: null,
  working: null,
  nextAt: '2026-01-03T03:00:00.000Z',
};

test('triggers are listed with what waits, and described with all their settings', async () => {
  answerWith({ items: [trigger, schedule], nextCursor: null });
  expect((await run(['triggers', 'list', '--function', 'ship'])).stdout.trimEnd().split('\n')).toEqual([
    'FUNCTION  TRIGGER       BY               STATE   WAITING  WORKING  NEXT',
    'ship      0a1b2c3d4e5f  orders.>         active       12        1  -',
    'ship      ffffffffffff  0 3 * * * (UTC)  paused        -        -  2026-01-03T03:00:00Z',
  ]);
  expect(asked).toEqual(['GET /v1/triggers?function=ship']);
  const { stdout } = await run(['triggers', 'describe', 'ship']);
  expect(stdout).toContain('began at  {"sequence":7}\n');
  expect(stdout).toContain('batch     up to 32 within 100 ms\n');
  expect(stdout).toContain('\n\ntrigger    ffffffffffff\n');
});

test('a trigger that is not there is refused with where to look', async () => {
  answerWith({ paused: true });
  expect(await run(['triggers', 'pause', 'ship', 'ffffffffffff'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('`cestx triggers resume ship ffffffffffff`') as string,
  });
  answerWith({ code: 'not-found', detail: 'ship has no trigger x.', help: 'Look.' }, 404);
  expect(await run(['triggers', 'resume', 'ship', 'x'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('ship has no trigger x.\nCheck the function and the trigger;') as string,
  });
  expect(asked).toEqual([
    'POST /v1/functions/ship/triggers/ffffffffffff/pause',
    'POST /v1/functions/ship/triggers/x/resume',
  ]);
});

const letter = {
  id: 'd1',
  project: 'default',
  function: 'ship',
  trigger: '0a1b2c3d4e5f',
  eventId: 'e1',
  eventType: 'orders.created',
  reason: 'rejected',
  message: 'The function answered 422.',
  attempts: 1,
  lastStatus: 422,
  lastBody: 'no \u001b[31mtotal',
  subject: 'cestx.app.default.orders.created',
  stream: 'APP',
  sequence: 9,
  traceId: null,
  receivedAt: '2026-01-02T03:04:05.678Z',
  diedAt: '2026-01-02T03:04:06.678Z',
};

test('dead letters are listed, and shown with what they hold, harmless to a terminal', async () => {
  answerWith({ items: [letter], nextCursor: 'more' });
  const listed = await run(['dead-letters', 'list', '--reason', 'rejected', '--limit', '1']);
  expect(listed.stdout.trimEnd().split('\n')).toEqual([
    'DEAD LETTER  FUNCTION  TYPE            REASON    TRIES  STATUS  DIED',
    'd1           ship      orders.created  rejected      1     422  2026-01-02T03:04:06Z',
  ]);
  expect(listed.stderr).toContain('There are more');
  expect(asked).toEqual(['GET /v1/dead-letters?reason=rejected&limit=1']);
  const headers = { 'ce-id': 'e1', 'ce-subject': 'a%20b', traceparent: '00-1-2-01' };
  answerWith({ ...letter, headers, dataBase64: btoa('{"total":0}') });
  const { stdout } = await run(['dead-letters', 'show', 'd1']);
  expect(stdout).toContain('\nattributes\nid       e1\nsubject  a b\n');
  expect(stdout).toContain('\nheaders\ntraceparent  00-1-2-01\n');
  expect(stdout).toContain('\nbody\n{"total":0}\n\nlast answer\nno [31mtotal\n');
  answerWith({ ...letter, headers, dataBase64: Buffer.from([0, 1, 255]).toString('base64') });
  expect((await run(['dead-letters', 'show', 'd1'])).stdout).toContain('3 bytes that are not text');
});

test('nothing is redriven or purged without being told which, and all of them only by --all', async () => {
  for (const verb of ['redrive', 'purge']) {
    expect(await run(['dead-letters', verb])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--all') as string,
    });
    expect((await run(['dead-letters', verb, '--all', '--function', 'ship'])).exitCode).toBe(2);
  }
  expect((await run(['dead-letters', 'redrive', '--all', '--rate', '0'])).exitCode).toBe(2);
  expect(asked).toEqual([]);
  answerWith({ accepted: true, purged: 3 });
  expect((await run(['dead-letters', 'redrive', '--all', '--rate', '5'])).exitCode).toBe(0);
  expect(await run(['dead-letters', 'purge', '--function', 'ship'])).toMatchObject({
    exitCode: 0,
    stdout: 'Deleted 3 dead letters.\n',
  });
  expect(asked).toEqual([
    'POST /v1/dead-letters/redrive?perSecond=5',
    'DELETE /v1/dead-letters?function=ship',
  ]);
  answerWith({ code: 'not-found', detail: 'There is no dead letter d9.' }, 404);
  expect(await run(['dead-letters', 'redrive', '--id', 'd9'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('`cestx dead-letters list`') as string,
  });
  expect(asked.at(-1)).toBe('GET /v1/dead-letters/d9');
});

test('a schedule is previewed by its own clock and in UTC, also where the clock is set forward', async () => {
  answerWith({ items: ['2026-03-28T02:30:00.000Z', '2026-03-29T01:30:00.000Z'] });
  const { stdout } = await run(['schedules', 'preview', '30 3 * * *', '--timezone', 'Europe/Berlin']);
  expect(stdout.trimEnd().split('\n')).toEqual([
    'EUROPE/BERLIN                  UTC',
    'Sat 2026-03-28 03:30:00 GMT+1  2026-03-28T02:30:00Z',
    'Sun 2026-03-29 03:30:00 GMT+2  2026-03-29T01:30:00Z',
  ]);
  expect(asked).toEqual(['GET /v1/schedules/preview?schedule=30+3+*+*+*&timezone=Europe%2FBerlin']);
});
