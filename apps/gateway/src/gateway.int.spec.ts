import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, request, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  defaultScale,
  endpointsBucket,
  inFlightResponseSchema,
  inFlightSubject,
  routesBucket,
} from '#contracts';
import { connectNats, JetStreamObjects, Messenger, Publisher } from '#messaging';
import { eventually, freePort, startTestServers, type TestServers } from '#testing';

import { gatewayRoom } from './gateway.module.ts';

type Nats = Awaited<ReturnType<typeof connectNats>>;

let servers: TestServers;
let nats: Nats;
let room: RunningRoom;
let folder: string;
let port: number;
let key: string;
const running: Server[] = [];
const opened = new Set<string>();

beforeAll(async () => {
  servers = await startTestServers();
  folder = await mkdtemp(join(tmpdir(), 'cestx-gateway-'));
  port = await freePort();
  room = await startRoom(gatewayRoom, {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('gateway'),
    CESTX_HOST: '127.0.0.1',
    CESTX_PORT: String(port),
    CESTX_ADMIN_KEY_FILE: join(folder, 'admin-key'),
    CESTX_HOLD_MS: '700',
    CESTX_MAX_BODY: '200000',
    CESTX_MAX_UPLOAD: '100000',
    CESTX_LOG_LEVEL: 'silent',
  });
  nats = await connectNats(servers.natsUrl, 'gateway-spec');
  key = (await readFile(join(folder, 'admin-key'), 'utf8')).trim();
});

afterAll(async () => {
  await room?.stop();
  await nats?.close();
  await servers?.stop();
  await rm(folder, { recursive: true, force: true });
});

afterEach(async () => {
  for (const entry of opened) await remove(entry);
  opened.clear();
  for (const server of running.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

function put(bucket: string, entry: string, value: object): void {
  nats.publish(`$KV.${bucket}.${entry}`, JSON.stringify(value));
  opened.add(`${bucket}.${entry}`);
}

async function remove(entry: string): Promise<void> {
  await new Publisher(nats).publish(`$KV.${entry}`, '', { headers: { 'KV-Operation': 'DEL' } });
}

/** A function of one machine, reachable once this resolves. */
async function serveFunction(
  name: string,
  listener: RequestListener,
  settings: { timeout?: number; concurrency?: number; machine?: string } = {},
): Promise<Server> {
  const server = createServer(listener);
  running.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: at } = server.address() as AddressInfo;
  announce(name, `127.0.0.1:${at}`, settings);
  await eventually(async () => (await call(`/function/${name}`, { method: 'OPTIONS' })).status !== 404);
  return server;
}

function announce(
  name: string,
  address: string,
  settings: { timeout?: number; concurrency?: number; machine?: string; state?: 'ready' | 'draining' } = {},
): void {
  const { timeout = 5000, concurrency = 0, machine = 'm1', state = 'ready' } = settings;
  const revision = `${name}-v1`;
  put(routesBucket, `default.${name}`, {
    project: 'default',
    function: name,
    host: `${name}.localhost`,
    traffic: [{ revision, percent: 100 }],
    timeout,
    concurrency,
    scale: defaultScale,
  });
  put(endpointsBucket, `default.${name}.${machine}`, { machine, revision, address, state, concurrency });
}

interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

function call(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = options.body === undefined ? 'GET' : 'POST', headers = {}, body } = options;
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (answer) => {
      text(answer).then(
        (all) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: all }),
        reject,
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Sends bytes as they are and gives back all that came until the connection ended. */
function raw(bytes: string, until?: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
    socket.setTimeout(5000, () => socket.destroy(new Error(`no end; so far: ${received}`)));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (until?.(received)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

const echo: RequestListener = async (received, answer) => {
  const body = await text(received);
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify({ method: received.method, url: received.url, headers: received.headers, body }));
};

describe('a call', () => {
  it('reaches the function by path and by hostname, with the path the function should see', async () => {
    await serveFunction('echo', echo);
    const byPath = await call('/function/echo/deep/path?x=1', { body: 'hi' });
    expect(byPath.status).toBe(200);
    expect(JSON.parse(byPath.body)).toMatchObject({ method: 'POST', url: '/deep/path?x=1', body: 'hi' });
    const byHost = await call('/deep/path?x=1', { headers: { host: `ECHO.localhost.:${port}` } });
    expect(JSON.parse(byHost.body)).toMatchObject({ method: 'GET', url: '/deep/path?x=1' });
    expect(JSON.parse((await call('/function/echo')).body)).toMatchObject({ url: '/' });
    expect(JSON.parse((await call('/function/echo?a=b')).body)).toMatchObject({ url: '/?a=b' });
  });

  it('carries ids both ways and keeps a caller from forging who it is', async () => {
    await serveFunction('echo', echo);
    const traceId = 'a'.repeat(32);
    const answer = await call('/function/echo', {
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
    const odd = await call('/function/echo', { headers: { 'x-call-id': 'a b"c' } });
    expect(odd.headers['x-call-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('streams bodies of any length both ways, up to the limit', async () => {
    await serveFunction('pipe', (received, answer) => void received.pipe(answer));
    const large = 'x'.repeat(150_000);
    expect((await call('/function/pipe', { body: large })).body).toBe(large);
    const chunked = await call('/function/pipe', {
      body: large,
      headers: { 'transfer-encoding': 'chunked' },
    });
    expect(chunked.body).toBe(large);
    const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
    const back = await fetch(`http://127.0.0.1:${port}/function/pipe`, { method: 'POST', body: everyByte });
    expect(new Uint8Array(await back.arrayBuffer())).toEqual(everyByte);
    await serveFunction('bytes', (_received, answer) =>
      answer.setHeader('content-length', 256).end(everyByte),
    );
    const answer = await fetch(`http://127.0.0.1:${port}/function/bytes`);
    expect(new Uint8Array(await answer.arrayBuffer())).toEqual(everyByte);
    const head = await call('/function/bytes', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '256', '']);
  });

  it('is refused with 413 when its body is over the limit, announced or not', async () => {
    let whole = 0;
    await serveFunction('eater', (received, answer) => {
      received.resume().once('end', () => {
        if (received.method === 'POST') whole++;
        answer.end();
      });
    });
    const announced = await raw(
      `POST /function/eater HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000\r\n\r\n`,
      (received) => received.endsWith('}'),
    );
    expect(announced).toMatch(/^HTTP\/1.1 413/);
    expect(announced).toContain('application/problem+json');
    const sending = await fetch(`http://127.0.0.1:${port}/function/eater`, {
      method: 'POST',
      body: 'x'.repeat(5_000_000),
    });
    expect([sending.status, ((await sending.json()) as { code: string }).code]).toEqual([413, 'too-large']);
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    const unannounced = await raw(
      `POST /function/eater HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(4)}0\r\n\r\n`,
      (received) => received.endsWith('}'),
    );
    expect(unannounced).toMatch(/^HTTP\/1.1 413/);
    expect(whole).toBe(0);
  });

  it('gives a problem with a code for a function that is unknown, busy, slow or gone', async () => {
    const unknown = await call('/function/nobody');
    expect(unknown.status).toBe(404);
    expect(unknown.headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(unknown.body)).toMatchObject({
      status: 404,
      code: 'not-found',
      help: expect.any(String),
    });
    expect((await call('/', { headers: { host: 'nobody.localhost' } })).status).toBe(404);

    const waiting: (() => void)[] = [];
    await serveFunction(
      'slow',
      (received, answer) => {
        if (received.method === 'OPTIONS') answer.end();
        else waiting.push(() => answer.end('late'));
      },
      { timeout: 400, concurrency: 1 },
    );
    const slow = call('/function/slow');
    await eventually(() => waiting.length === 1);
    const busy = await call('/function/slow');
    expect([busy.status, JSON.parse(busy.body).code, busy.headers['retry-after']]).toEqual([
      429,
      'busy',
      '1',
    ]);
    const late = await slow;
    expect([late.status, JSON.parse(late.body).code]).toEqual([504, 'function-timeout']);

    await serveFunction('rude', (received, answer) => {
      if (received.method === 'OPTIONS') answer.end();
      else received.socket.destroy();
    });
    const rude = await call('/function/rude', { body: 'x' });
    expect([rude.status, JSON.parse(rude.body).code]).toEqual([502, 'function-unreachable']);
  });

  it('waits while no machine is ready, goes on the instant one is, and ends in 503 when none comes', async () => {
    const server = createServer((_received, answer) => answer.end('here'));
    running.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    announce('sleepy', address, { state: 'draining' });
    await eventually(async () => (await call('/function/sleepy')).status === 503);
    const held = call('/function/sleepy');
    setTimeout(() => announce('sleepy', address), 150);
    const answer = await held;
    expect([answer.status, answer.body]).toEqual([200, 'here']);
    announce('sleepy', address, { state: 'draining' });
    await eventually(async () => (await call('/function/sleepy')).headers['retry-after'] === '1');
  });

  it('goes to another machine when one takes no connection', async () => {
    await serveFunction('pair', (_received, answer) => answer.end('alive'));
    announce('pair', '127.0.0.1:1', { machine: 'dead' });
    await eventually(() => inFlight('pair', 'dead').then((one) => one[0]?.open));
    for (let round = 0; round < 20; round++) {
      expect((await call('/function/pair', { body: 'x' })).status).toBe(200);
    }
  });

  it('is counted as in flight until it ends, so that a machine can be drained', async () => {
    const waiting: (() => void)[] = [];
    const server = await serveFunction('drained', (received, answer) => {
      if (received.method === 'OPTIONS') answer.end();
      else waiting.push(() => answer.end('done'));
    });
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const pending = call('/function/drained');
    await eventually(() => waiting.length === 1);
    expect(await inFlight('drained', 'm1')).toEqual([{ calls: 1, open: true }]);
    announce('drained', address, { state: 'draining' });
    await eventually(async () => (await inFlight('drained', 'm1'))[0]?.open === false);
    expect(await inFlight('drained', 'm1')).toEqual([{ calls: 1, open: false }]);
    await remove(`${endpointsBucket}.default.drained.m1`);
    waiting[0]?.();
    expect((await pending).body).toBe('done');
    await eventually(async () => (await inFlight('drained', 'm1'))[0]?.calls === 0);
  });

  it('never fails while one revision replaces another under load and the old machine goes away', async () => {
    const first = await serveFunction(
      'moving',
      (_received, answer) => void setTimeout(() => answer.end('v1'), 5),
    );
    const second = createServer((_received, answer) => void setTimeout(() => answer.end('v2'), 5));
    running.push(second);
    await new Promise<void>((resolve) => second.listen(0, '127.0.0.1', resolve));
    const seen = new Map<string, number>();
    let over = false;
    const caller = async () => {
      while (!over) {
        const answer = await fetch(`http://127.0.0.1:${port}/function/moving`, { method: 'POST', body: 'x' });
        const said = `${answer.status} ${await answer.text()}`;
        seen.set(said, (seen.get(said) ?? 0) + 1);
      }
    };
    const callers = Array.from({ length: 16 }, caller);
    await eventually(() => (seen.get('200 v1') ?? 0) > 100);
    const settings = { timeout: 5000, concurrency: 0, scale: defaultScale };
    const route = { project: 'default', function: 'moving', host: 'moving.localhost', ...settings };
    const machine = { machine: 'm2', revision: 'moving-v2', state: 'ready', concurrency: 0 };
    put(endpointsBucket, 'default.moving.m2', {
      ...machine,
      address: `127.0.0.1:${(second.address() as AddressInfo).port}`,
    });
    put(routesBucket, 'default.moving', { ...route, traffic: [{ revision: 'moving-v2', percent: 100 }] });
    put(endpointsBucket, 'default.moving.m1', {
      ...machine,
      machine: 'm1',
      revision: 'moving-v1',
      address: `127.0.0.1:${(first.address() as AddressInfo).port}`,
      state: 'draining',
    });
    await eventually(async () => {
      const [one] = await inFlight('moving', 'm1');
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
    await serveFunction('patient', (received, answer) => {
      if (received.method === 'OPTIONS') return void answer.end();
      answer.once('close', () => gone.resolve());
      begun.resolve();
    });
    const sent = request({ host: '127.0.0.1', port, path: '/function/patient' });
    sent.on('error', () => undefined);
    sent.end();
    await begun.promise;
    sent.destroy();
    await gone.promise;
    await eventually(async () => (await inFlight('patient', 'm1'))[0]?.calls === 0);
  });

  it('gets the head of a stream before its first byte', async () => {
    await serveFunction('stream', (received, answer) => {
      if (received.method === 'OPTIONS') return void answer.end();
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      answer.flushHeaders();
    });
    const head = await raw('GET /function/stream HTTP/1.1\r\nHost: localhost\r\n\r\n', (received) =>
      received.includes('\r\n\r\n'),
    );
    expect(head).toMatch(/^HTTP\/1.1 200/);
  });

  it('may switch to WebSocket, bytes then pass both ways', async () => {
    const server = await serveFunction('socket', (_received, answer) => answer.end());
    server.on('upgrade', (received, socket) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst ',
      );
      socket.on('data', (chunk) => socket.write(`heard ${chunk} at ${received.url}`));
    });
    const head = 'Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
    const said = await raw(`GET /function/socket/chat HTTP/1.1\r\n${head}\r\nhello`, (received) =>
      received.includes('at /chat'),
    );
    expect(said).toMatch(/^HTTP\/1.1 101/);
    expect(said).toContain('first ');
    expect(said).toContain('heard hello at /chat');
    await eventually(async () => (await inFlight('socket', 'm1'))[0]?.calls === 0);
    expect(await raw(`GET /v1/functions HTTP/1.1\r\n${head}\r\n`)).toMatch(/^HTTP\/1.1 404/);
  });

  it('that tries to smuggle or to flood is refused, and the gateway stays up', async () => {
    await serveFunction('echo', echo);
    const start = 'POST /function/echo HTTP/1.1\r\nHost: localhost\r\n';
    const attempts: [string, RegExp][] = [
      [`${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Bad Name: x\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Host: other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Long: ${'a'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1.1 431/],
      ['POST /function/echo HTTP/1.1\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
      ['GET //evil HTTP/9.9\r\n\r\n', /^HTTP\/1.1 (400|505)/],
      ['\u0016\u0003\u0001 not http', /^HTTP\/1.1 400/],
      ['GET /function/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
    ];
    for (const [bytes, expected] of attempts) expect(await raw(bytes), bytes.slice(0, 120)).toMatch(expected);
    expect((await call('/function/echo')).status).toBe(200);
  });
});

async function inFlight(name: string, machine: string): Promise<{ calls: number; open: boolean }[]> {
  const messenger = new Messenger(nats, new Publisher(nats));
  const asked = { project: 'default', function: name, machine };
  return messenger.askAll(inFlightSubject, asked, inFlightResponseSchema, { waitMs: 500 });
}

describe('the control plane', () => {
  it('needs the key, whose file only its owner may read', async () => {
    expect((await stat(join(folder, 'admin-key'))).mode & 0o777).toBe(0o600);
    const without = await call('/v1/functions');
    expect([without.status, JSON.parse(without.body).code]).toEqual([401, 'unauthenticated']);
    expect(without.headers['www-authenticate']).toBe('Bearer');
    const wrong = await call('/v1/functions', { headers: { authorization: `Bearer ${key}x` } });
    expect(wrong.status).toBe(401);
    const missing = await call('/v1/nothing', { headers: { authorization: `Bearer ${key}` } });
    expect([missing.status, JSON.parse(missing.body).code]).toEqual([404, 'not-found']);
    const bad = await call('/v1/functions?limit=abc', { headers: { authorization: `Bearer ${key}` } });
    expect([bad.status, JSON.parse(bad.body).code]).toEqual([400, 'bad-request']);
    expect(JSON.parse(bad.body).detail).toContain('limit');
  });

  it('says truthfully which rooms can work', async () => {
    const ready = await call('/readyz');
    expect(ready.status).toBe(503);
    const said = JSON.parse(ready.body) as { ready: boolean; rooms: { room: string; ready: boolean }[] };
    expect(said.rooms.find((one) => one.room === 'gateway')?.ready).toBe(true);
    expect(said.rooms.find((one) => one.room === 'machines')?.ready).toBe(false);
    expect((await call('/healthz')).body).toBe('ok\n');
  });

  it('counts calls by function and status', async () => {
    await serveFunction('counted', echo);
    await call('/function/counted');
    const { body } = await call('/metrics');
    expect(body).toMatch(/gateway_function_invocation_total\{function_name="counted",code="200"\} \d/);
    expect(body).toMatch(/gateway_functions_seconds_count\{function_name="counted"\} \d/);
    expect(body).toMatch(/gateway_service_count \d/);
  });

  it('shows a description of itself that needs nothing from elsewhere', async () => {
    const document = JSON.parse((await call('/openapi.json')).body) as { openapi: string };
    expect(document.openapi).toBe('3.1.0');
    const page = await call('/docs');
    expect(page.headers['content-type']).toContain('text/html');
    expect(page.body).toContain('/v1/functions/{name}');
    expect(page.body).not.toMatch(/(src|href)="https?:/);
  });

  it('refuses a deploy that is not whole and leaves nothing of it behind', async () => {
    const cases: [FormData | string, number, string][] = [
      [form({ manifest: 'name: a' }), 400, 'bad-request'],
      [form({ source: 'x', manifest: 'nam: a' }), 400, 'invalid-manifest'],
      [form({ source: 'x'.repeat(150_000), manifest: 'name: a' }), 413, 'too-large'],
      [form({ source: 'x', manifest: 'name: a', other: 'y' }), 400, 'bad-request'],
      ['plain', 400, 'bad-request'],
    ];
    for (const [body, status, code] of cases) {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/functions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
        body,
      });
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
    }
    expect(await new JetStreamObjects(nats).list()).toEqual([]);
  });
});

function form(parts: Record<string, string>): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(parts)) {
    if (name === 'source') body.set(name, new Blob([value]), 'source.tar.gz');
    else body.set(name, value);
  }
  return body;
}
