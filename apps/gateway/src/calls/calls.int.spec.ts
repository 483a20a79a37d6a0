import { createServer, request, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { defaultScale, endpointsBucket, routesBucket } from '#contracts';
import { eventually } from '#testing';

import { GatewayRoom } from '../gateway-room.fixture.ts';

let gateway: GatewayRoom;

beforeAll(async () => {
  gateway = await GatewayRoom.start({ CESTX_HOLD_MS: '700', CESTX_MAX_BODY: '200000' });
});
afterAll(() => gateway?.stop());
afterEach(() => gateway.clear());

const echo: RequestListener = async (received, answer) => {
  const body = await text(received);
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify({ method: received.method, url: received.url, headers: received.headers, body }));
};

describe('a call', () => {
  it('reaches the function by path and by hostname, with the path the function should see', async () => {
    await gateway.serveFunction('echo', echo);
    const byPath = await gateway.call('/function/echo/deep/path?x=1', { body: 'hi' });
    expect(byPath.status).toBe(200);
    expect(JSON.parse(byPath.body)).toMatchObject({ method: 'POST', url: '/deep/path?x=1', body: 'hi' });
    const byHost = await gateway.call('/deep/path?x=1', {
      headers: { host: `ECHO.localhost.:${gateway.port}` },
    });
    expect(JSON.parse(byHost.body)).toMatchObject({ method: 'GET', url: '/deep/path?x=1' });
    expect(JSON.parse((await gateway.call('/function/echo')).body)).toMatchObject({ url: '/' });
    expect(JSON.parse((await gateway.call('/function/echo?a=b')).body)).toMatchObject({ url: '/?a=b' });
  });

  it('carries ids both ways and keeps a caller from forging who it is', async () => {
    await gateway.serveFunction('echo', echo);
    const traceId = 'a'.repeat(32);
    const answer = await gateway.call('/function/echo', {
      headers: {
        'x-call-id': 'my-call',
        'x-forwarded-for': '6.6.6.6',
        forwarded: 'for=6.6.6.6',
        traceparent: `00-${traceId}-${'b'.repeat(16)}-00`,
        connection: 'keep-alive, x-secret-hop',
        'x-secret-hop': 'gone',
        te: 'trailers',
      },
    });
    expect(answer.headers['x-call-id']).toBe('my-call');
    expect(Number(answer.headers['x-duration-seconds'])).toBeGreaterThan(0);
    expect(answer.headers['traceparent']).toContain(traceId);
    const { headers } = JSON.parse(answer.body) as { headers: Record<string, string> };
    expect(headers['x-call-id']).toBe('my-call');
    expect(headers['traceparent']).toContain(traceId);
    expect(headers['x-forwarded-for']).toBe('127.0.0.1');
    expect(headers['forwarded']).toContain('for=127.0.0.1');
    expect(headers['x-forwarded-proto']).toBe('http');
    expect(headers).not.toHaveProperty('x-secret-hop');
    expect(headers).not.toHaveProperty('te');
    const odd = await gateway.call('/function/echo', { headers: { 'x-call-id': 'a b"c' } });
    expect(odd.headers['x-call-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('streams bodies of any length both ways, up to the limit', async () => {
    await gateway.serveFunction('pipe', (received, answer) => void received.pipe(answer));
    const large = 'x'.repeat(150_000);
    expect((await gateway.call('/function/pipe', { body: large })).body).toBe(large);
    const chunked = await gateway.call('/function/pipe', {
      body: large,
      headers: { 'transfer-encoding': 'chunked' },
    });
    expect(chunked.body).toBe(large);
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
    const back = await fetch(`http://127.0.0.1:${gateway.port}/function/pipe`, {
      method: 'POST',
      body: everyByte,
    });
    expect(new Uint8Array(await back.arrayBuffer())).toEqual(everyByte);
    await gateway.serveFunction('bytes', (_received, answer) =>
      answer.setHeader('content-length', 256).end(everyByte),
    );
    const answer = await fetch(`http://127.0.0.1:${gateway.port}/function/bytes`);
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(everyByte);
    const head = await gateway.call('/function/bytes', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '256', '']);
  });

  it('is refused with 413 when its body is over the limit, announced or not', async () => {
    let whole = 0;
    await gateway.serveFunction('eater', (received, answer) => {
      received.resume().once('end', () => {
        if (received.method === 'POST') whole++;
        answer.end();
      });
    });
    const announced = await gateway.raw(
      `POST /function/eater HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n`,
      (received) => received.endsWith('}'),
    );
    expect(announced).toMatch(/^HTTP\/1.1 413/);
    expect(announced).toContain('application/problem+json');
    const sending = await fetch(`http://127.0.0.1:${gateway.port}/function/eater`, {
      method: 'POST',
      body: 'x'.repeat(5_000_000),
    });
    expect([sending.status, ((await sending.json()) as { code: string }).code]).toEqual([413, 'too-large']);
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const unannounced = await gateway.raw(
      `POST /function/eater HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}0\r\n\r\n`,
      (received) => received.endsWith('}'),
    );
    expect(unannounced).toMatch(/^HTTP\/1.1 413/);
    expect(whole).toBe(0);
  });

  it('gives a problem with a code for a function that is unknown, busy, slow or gone', async () => {
    const unknown = await gateway.call('/function/nobody');
    expect(unknown.status).toBe(404);
    expect(unknown.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(unknown.body)).toMatchObject({
      status: 404,
      code: 'not-found',
      help: expect.any(String),
    });
    expect((await gateway.call('/', { headers: { host: 'nobody.localhost' } })).status).toBe(404);

    const waiting: (() => void)[] = [];
    await gateway.serveFunction(
      'slow',
      (received, answer) => {
        if (received.method === 'OPTIONS') answer.end();
        else waiting.push(() => answer.end('late'));
      },
      { timeout: 400, concurrency: 1 },
    );
    const slow = gateway.call('/function/slow');
    await eventually(() => waiting.length === 1);
    const busy = await gateway.call('/function/slow');
    expect([busy.status, JSON.parse(busy.body).code, busy.headers['retry-after']]).toEqual([
      429,
      'busy',
      '1',
    ]);
    const late = await slow;
    expect([late.status, JSON.parse(late.body).code]).toEqual([504, 'function-timeout']);

    await gateway.serveFunction('rude', (received, answer) => {
      if (received.method === 'OPTIONS') answer.end();
      else received.socket.destroy();
    });
    const rude = await gateway.call('/function/rude', { body: 'x' });
    expect([rude.status, JSON.parse(rude.body).code]).toEqual([502, 'function-unreachable']);
  });

  it('waits while no machine is ready, goes on the instant one is, and ends in 503 when none comes', async () => {
    const server = createServer((_received, answer) => answer.end('here'));
    const address = await gateway.listen(server);
    gateway.announce('sleepy', address, { state: 'draining' });
    await eventually(async () => (await gateway.call('/function/sleepy')).status === 503);
    const held = gateway.call('/function/sleepy');
    setTimeout(() => gateway.announce('sleepy', address), 150);
    const answer = await held;
    expect([answer.status, answer.body]).toEqual([200, 'here']);
    gateway.announce('sleepy', address, { state: 'draining' });
    await eventually(async () => (await gateway.call('/function/sleepy')).headers['retry-after'] === '1');
  });

  it('goes to another machine when one takes no connection', async () => {
    await gateway.serveFunction('pair', (_received, answer) => answer.end('alive'));
    gateway.announce('pair', '127.0.0.1:1', { machine: 'dead' });
    await eventually(() => gateway.inFlight('pair', 'dead').then((one) => one[0]?.open));
    for (let round = 0; round < 20; round++) {
      expect((await gateway.call('/function/pair', { body: 'x' })).status).toBe(200);
    }
  });

  it('is counted as in flight until it ends, so that a machine can be drained', async () => {
    const waiting: (() => void)[] = [];
    const server = await gateway.serveFunction('drained', (received, answer) => {
      if (received.method === 'OPTIONS') answer.end();
      else waiting.push(() => answer.end('done'));
    });
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pending = gateway.call('/function/drained');
    await eventually(() => waiting.length === 1);
    expect(await gateway.inFlight('drained', 'm1')).toEqual([{ calls: 1, open: true }]);
    gateway.announce('drained', address, { state: 'draining' });
    await eventually(async () => (await gateway.inFlight('drained', 'm1'))[0]?.open === false);
    expect(await gateway.inFlight('drained', 'm1')).toEqual([{ calls: 1, open: false }]);
    await gateway.remove(`${endpointsBucket}.default.drained.m1`);
    waiting[0]?.();
    expect((await pending).body).toBe('done');
    await eventually(async () => (await gateway.inFlight('drained', 'm1'))[0]?.calls === 0);
  });

  it('never fails while one revision replaces another under load and the old machine goes away', async () => {
    const first = await gateway.serveFunction(
      'moving',
      (_received, answer) => void setTimeout(() => answer.end('v1'), 5),
    );
    const second = createServer((_received, answer) => void setTimeout(() => answer.end('v2'), 5));
    const secondAddress = await gateway.listen(second);
    const seen = new Map<string, number>();
    let over = false;
    const caller = async () => {
      while (!over) {
        const answer = await fetch(`http://127.0.0.1:${gateway.port}/function/moving`, {
          method: 'POST',
          body: 'x',
        });
        const said = `${answer.status} ${await answer.text()}`;
        seen.set(said, (seen.get(said) ?? 0) + 1);
      }
    };
    const callers = Array.from({ length: 16 }, caller);
    await eventually(() => (seen.get('200 v1') ?? 0) > 100);
    const settings = { timeout: 5000, concurrency: 0, scale: defaultScale };
    const route = { project: 'default', function: 'moving', host: 'moving.localhost', ...settings };
    const machine = { machine: 'm2', revision: 'moving-v2', state: 'ready', concurrency: 0 };
    gateway.put(endpointsBucket, 'default.moving.m2', {
      ...machine,
      address: secondAddress,
    });
    gateway.put(routesBucket, 'default.moving', {
      ...route,
      traffic: [{ revision: 'moving-v2', percent: 100 }],
    });
    gateway.put(endpointsBucket, 'default.moving.m1', {
      ...machine,
      machine: 'm1',
      revision: 'moving-v1',
      address: `127.0.0.1:${(first.address() as AddressInfo).port}`,
      state: 'draining',
    });
    await eventually(async () => {
      const [one] = await gateway.inFlight('moving', 'm1');
      return one?.calls === 0 && !one.open;
    });
    first.closeAllConnections();
    first.close();
    const before = seen.get('200 v2') ?? 0;
    await eventually(() => (seen.get('200 v2') ?? 0) > before + 100);
    over = true;
    await Promise.all(callers);
    expect([...seen.keys()].sort()).toEqual(['200 v1', '200 v2']);
  });

  it('that its caller gave up is given up at the function too', async () => {
    const gone = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    await gateway.serveFunction('patient', (received, answer) => {
      if (received.method === 'OPTIONS') return void answer.end();
      answer.once('close', () => gone.resolve());
      begun.resolve();
    });
    const sent = request({ host: '127.0.0.1', port: gateway.port, path: '/function/patient' });
    sent.on('error', () => undefined);
    sent.end();
    await begun.promise;
    sent.destroy();
    await gone.promise;
    await eventually(async () => (await gateway.inFlight('patient', 'm1'))[0]?.calls === 0);
  });

  it('gets the head of a stream before its first byte', async () => {
    await gateway.serveFunction('stream', (received, answer) => {
      if (received.method === 'OPTIONS') return void answer.end();
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      answer.flushHeaders();
    });
    const head = await gateway.raw('GET /function/stream HTTP/1.1\r\nHost: localhost\r\n\r\n', (received) =>
      received.includes('\r\n\r\n'),
    );
    expect(head).toMatch(/^HTTP\/1.1 200/);
  });

  it('may switch to WebSocket, bytes then pass both ways', async () => {
    const server = await gateway.serveFunction('socket', (_received, answer) => answer.end());
    server.on('upgrade', (received, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst ',
      );
      socket.on('data', (chunk) => socket.write(`heard ${chunk} at ${received.url}`));
    });
    const head = 'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    const said = await gateway.raw(`GET /function/socket/chat HTTP/1.1\r\n${head}\r\nhello`, (received) =>
      received.includes('at /chat'),
    );
    expect(said).toMatch(/^HTTP\/1.1 101/);
    expect(said).toContain('first ');
    expect(said).toContain('heard hello at /chat');
    await eventually(async () => (await gateway.inFlight('socket', 'm1'))[0]?.calls === 0);
    expect(await gateway.raw(`GET /v1/functions HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1.1 404/);
  });
});
