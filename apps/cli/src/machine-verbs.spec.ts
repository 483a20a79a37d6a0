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

beforeEach(async () => {
  asked.length = 0;
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function run(...argv: string[]) {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = { CESTX_URL: url, CESTX_KEY: 'k' };
  const { signal } = new AbortController();
  const exitCode = await runProgram(argv, { environment, folder: '/', stdin, stdout, stderr, signal });
  stdout.end();
  stderr.end();
  return { exitCode, stdout: await text(stdout), stderr: await text(stderr) };
}

const machine = {
  id: 'm1',
  function: 'echo',
  revision: 'echo-v1',
  state: 'running',
  address: '10.0.0.2:8080',
  since: '2026-01-02T03:04:05.678Z',
  reason: null,
};
const sample = (second: number, cpu: number | null) => ({
  machine: 'm1',
  at: `2026-01-02T03:04:0${second}.000Z`,
  cpu,
  memoryBytes: 32 * 1024 ** 2,
  memoryLimitBytes: 128 * 1024 ** 2,
  processes: 2,
});

test('machines are listed in columns, or as the gateway says in JSON', async () => {
  const pages = [
    { items: [machine], nextCursor: 'm1' },
    {
      items: [{ ...machine, id: 'm2', state: 'stopped', address: null, reason: 'No calls.' }],
      nextCursor: null,
    },
  ];
  answer = (request, response) =>
    response.end(JSON.stringify(pages[request.url?.includes('cursor') ? 1 : 0]));
  const { stdout } = await run('machines', 'list', '--function', 'echo');
  expect(stdout.trimEnd().split('\n')).toEqual([
    'MACHINE  FUNCTION  REVISION  STATE    SINCE                 ADDRESS        REASON',
    'm1       echo      echo-v1   running  2026-01-02T03:04:05Z  10.0.0.2:8080  -',
    'm2       echo      echo-v1   stopped  2026-01-02T03:04:05Z  -              No calls.',
  ]);
  expect(asked).toEqual(['GET /v1/machines?function=echo', 'GET /v1/machines?function=echo&cursor=m1']);
  const inJson = JSON.parse((await run('machines', 'list', '--json')).stdout) as { items: object[] };
  expect(inJson).toEqual({ items: pages.flatMap<object>(({ items }) => items) });
});

test('waiting says where the machine is, and fails with the reason when it is not in time', async () => {
  answer = (_request, response) => response.end(JSON.stringify(machine));
  expect(await run('machines', 'wait', 'm1')).toEqual({
    exitCode: 0,
    stdout: 'm1 of echo is running at 10.0.0.2:8080\n',
    stderr: '',
  });
  answer = (_request, response) => {
    response.writeHead(408, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code: 'wait-timeout', detail: 'It is stopped.', help: 'Wait again.' }));
  };
  const late = await run('machines', 'wait', 'm1', '--state', 'frozen', '--timeout', '1s');
  expect(late).toEqual({ exitCode: 1, stdout: '', stderr: 'error: It is stopped.\nWait again.\n' });
  expect(asked).toEqual([
    'GET /v1/machines/m1/wait?state=running&timeout=30s',
    'GET /v1/machines/m1/wait?state=frozen&timeout=1s',
  ]);
  const unknown = await run('machines', 'wait', 'm1', '--state', 'asleep');
  expect(unknown).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('Allowed choices are') });
});

test('a machine that stays up because it is called is no success', async () => {
  answer = (_request, response) =>
    response.end(JSON.stringify({ ...machine, state: 'frozen', address: null }));
  expect(await run('machines', 'freeze', 'm1')).toEqual({
    exitCode: 0,
    stdout: 'm1 of echo is frozen\n',
    stderr: '',
  });
  expect(asked).toEqual(['POST /v1/machines/m1/freeze']);
  answer = (_request, response) => response.end(JSON.stringify(machine));
  expect(await run('machines', 'stop', 'm1')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('in use'),
  });
});

test('stats that are followed go on where they broke off, without one twice', async () => {
  const lines = [sample(1, null), sample(2, 0.25), sample(3, 1)].map((one) => `${JSON.stringify(one)}\n`);
  let opened = 0;
  answer = (_request, response) => {
    opened += 1;
    if (opened > 1) return void response.end(lines.slice(1).join(''));
    response.write(lines.slice(0, 2).join(''));
    setTimeout(() => response.destroy(), 50);
  };
  const { stdout } = await run('machines', 'stats', 'm1', '--follow');
  expect(stdout.trimEnd().split('\n')).toEqual([
    '03:04:01      - cores   32.0 MiB of 128.0 MiB   25 %    2 processes',
    '03:04:02   0.25 cores   32.0 MiB of 128.0 MiB   25 %    2 processes',
    '03:04:03   1.00 cores   32.0 MiB of 128.0 MiB   25 %    2 processes',
  ]);
  expect(asked[1]).toBe('GET /v1/machines/m1/stats?since=2026-01-02T03%3A04%3A02.000Z&follow=true');
});

test('capacity says what is taken and what is free', async () => {
  const gibibyte = 1024 ** 3;
  const found = {
    memoryBytes: { total: 4 * gibibyte, used: gibibyte },
    cpu: { total: 40, used: 0.5 },
    machines: { total: 1000, used: 3 },
    diskBytes: { total: 100 * gibibyte, used: 40 * gibibyte },
  };
  answer = (_request, response) => response.end(JSON.stringify(found));
  expect((await run('capacity')).stdout.trimEnd().split('\n')).toEqual([
    'WHAT         TAKEN      FREE     IN ALL',
    'memory     1.0 GiB   3.0 GiB    4.0 GiB',
    'cores          0.5      39.5         40',
    'machines         3       997       1000',
    'disk      40.0 GiB  60.0 GiB  100.0 GiB',
  ]);
  expect(JSON.parse((await run('capacity', '--json')).stdout)).toEqual(found);
});
