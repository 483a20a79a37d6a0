import { createServer, request } from 'node:http';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { activitySchema, activitySubject, CestxError, endpointsBucket, type Activity } from '#contracts';
import { eventually } from '#testing';

import { GatewayRoom } from '../gateway-room.fixture.ts';

let gateway: GatewayRoom;

beforeAll(async () => {
  gateway = await GatewayRoom.start({ CESTX_HOLD_MS: '5000' });
});
afterAll(() => gateway?.stop());
afterEach(() => gateway.clear());

const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost: localhost\r\n';

/** A function that says `hello`, streams at /events, and switches to WebSocket; unknown to the gateway at first. */
async function hello(name: string): Promise<{ address: string; seen: string[]; end: (url: string) => void }> {
  const seen: string[] = [];
  const open = new Map<string, () => void>();
  const server = createServer((received, answer) => {
    seen.push(received.url ?? '');
    if (received.url === '/events') {
      answer.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
    } else if (received.url === '/') answer.end(`hello from ${name}`);
    else open.set(received.url ?? '', () => answer.end('done'));
  });
  server.on('upgrade', (_received, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nopen');
    socket.on('error', () => socket.destroy());
  });
  const address = await gateway.listen(server);
  return { address, seen, end: (url) => open.get(url)?.() };
}

function endpointOf(name: string, address: string, machine = 'm1', concurrency = 0) {
  return { machine, revision: `${name}-v1`, address, state: 'ready' as const, concurrency };
}

const metrics = async () => (await gateway.call('/metrics')).body;

/** What the gateway says of one function from now on. */
function reportsOf(name: string): Activity['functions'] {
  const reports: Activity['functions'] = [];
  gateway.messenger.listen(activitySubject(), activitySchema, ({ functions }) => {
    reports.push(...functions.filter((one) => one.function === name));
  });
  return reports;
}

describe('a call to a function at rest', () => {
  it('wakes one machine for 500 callers, who all get their answer, whatever the bucket says late', async () => {
    const { address, seen } = await hello('rested');
    // Time enough for 500 calls where gateway, callers and function share one busy processor.
    gateway.announce('rested', address, { state: 'absent', timeout: 50_000 });
    await gateway.known('rested');
    const wakes: unknown[] = [];
    gateway.answerWakes(async (asked) => {
      wakes.push(asked);
      await eventually(async () => (await metrics()).includes('cestx_held_calls 500'));
      // The removal of the freeze before comes after the answer, the confirmation later still.
      setTimeout(() => void gateway.remove(`${endpointsBucket}.default.rested.m1`), 5);
      setTimeout(() => gateway.announce('rested', address, { timeout: 50_000 }), 100);
      return { endpoint: endpointOf('rested', address), from: 'frozen', ms: 1 };
    });
    const answers = await Promise.all(Array.from({ length: 500 }, () => gateway.call('/function/rested')));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(wakes).toEqual([{ project: 'default', function: 'rested', revision: 'rested-v1' }]);
    expect(seen).toHaveLength(500);
    expect(await metrics()).toContain('cestx_cold_start_seconds_count{kind="frozen"} 1');
    expect((await gateway.call('/function/rested')).status).toBe(200);
    expect(wakes).toHaveLength(1);
  });

  it('counts at its machine for whoever asks right behind the answer to the wake', async () => {
    const { address, seen, end } = await hello('counted');
    gateway.announce('counted', address, { state: 'absent' });
    await gateway.known('counted');
    let asked: ReturnType<typeof gateway.inFlight> | undefined;
    gateway.answerWakes(() => {
      // Behind the answer; the gateway, in this process too, is kept busy until both are there and come in one piece.
      process.nextTick(() => (asked = gateway.inFlight('counted', 'm1')));
      setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100), 1);
      return { endpoint: endpointOf('counted', address), from: 'running', ms: 1 };
    });
    const call = gateway.call('/function/counted/x');
    await eventually(() => seen.includes('/x'));
    expect(await asked).toEqual([{ calls: 1, open: true }]);
    end('/x');
    expect((await call).status).toBe(200);
  });

  it('is held while the machines room is being started again', async () => {
    const { address } = await hello('later');
    gateway.announce('later', address, { state: 'absent' });
    await gateway.known('later');
    const held = gateway.call('/function/later');
    await eventually(async () => (await metrics()).includes('cestx_held_calls 1'));
    gateway.answerWakes(() => ({ endpoint: endpointOf('later', address), from: 'stopped', ms: 1 }));
    expect((await held).body).toBe('hello from later');
  });

  it('ends in 503 with the reason when it cannot be woken, without the lines of its log', async () => {
    gateway.announce('broken', '127.0.0.1:1', { state: 'absent' });
    await gateway.known('broken');
    let failure = new CestxError('start-failed', 'The program was not ready within 30 s.', {
      lastLines: ['a secret'],
    });
    gateway.answerWakes(() => {
      throw failure;
    });
    const failed = await gateway.call('/function/broken');
    expect([failed.status, failed.headers['retry-after'], JSON.parse(failed.body).code]).toEqual([
      503,
      '1',
      'start-failed',
    ]);
    expect(failed.body).not.toContain('secret');
    failure = new CestxError('no-capacity', 'The host has no room for another machine.');
    const full = await gateway.call('/function/broken');
    expect([full.status, full.headers['retry-after'], JSON.parse(full.body).code]).toEqual([
      503,
      '1',
      'no-capacity',
    ]);
  });

  it('is forgotten when its caller leaves, and not sent', async () => {
    const { address, seen } = await hello('left');
    gateway.announce('left', address, { state: 'absent' });
    await gateway.known('left');
    const sent = request({ host: '127.0.0.1', port: gateway.port, path: '/function/left/never' });
    sent.on('error', () => undefined).end();
    await eventually(async () => (await metrics()).includes('cestx_held_calls 1'));
    sent.destroy();
    await eventually(async () => (await metrics()).includes('cestx_held_calls 0'));
    gateway.announce('left', address);
    await eventually(async () => (await gateway.call('/function/left')).status === 200);
    expect(seen).not.toContain('/never');
  });

  it('may be an upgrade, and passes over a machine that takes no connection', async () => {
    const { address } = await hello('chat');
    gateway.announce('chat', '127.0.0.1:1', { machine: 'dead' });
    await gateway.known('chat');
    gateway.answerWakes(() => ({ endpoint: endpointOf('chat', address), from: 'absent', ms: 1 }));
    const said = await gateway.raw(`GET /function/chat/ws HTTP/1.1\r\n${upgrade}\r\n`, (got) =>
      got.endsWith('open'),
    );
    expect(said).toMatch(/^HTTP\/1.1 101/);
  });
});

describe('a call to a function whose machines are full', () => {
  it('waits for a machine more, or for a call to end', async () => {
    const { address, end, seen } = await hello('narrow');
    const limited = { concurrency: 1, max: 2 };
    gateway.announce('narrow', address, limited);
    await eventually(async () => (await gateway.inFlight('narrow', 'm1'))[0]?.open);
    const first = gateway.call('/function/narrow/1');
    await eventually(() => seen.includes('/1'));
    const reports = reportsOf('narrow');
    const second = gateway.call('/function/narrow/2');
    const third = gateway.call('/function/narrow/3');
    await eventually(() =>
      reports.find(({ waiting, machines }) => waiting === 2 && machines[0]?.calls === 1),
    );
    gateway.announce('narrow', address, { ...limited, machine: 'm2' });
    await eventually(() => seen.length === 2);
    expect((await gateway.call('/function/narrow/4')).status).toBe(429);
    for (const url of ['/1', '/2', '/3']) {
      await eventually(() => seen.includes(url));
      end(url);
    }
    for (const one of [first, second, third]) expect((await one).body).toBe('done');
  });
});

describe('a connection without an end of its own', () => {
  it('outlives the timeout and counts as in flight, until its machine has taken no calls for that long', async () => {
    const { address } = await hello('lasting');
    const settings = { timeout: 300 };
    gateway.announce('lasting', address, settings);
    await eventually(async () => (await gateway.inFlight('lasting', 'm1'))[0]?.open);
    const reports = reportsOf('lasting');
    const socket = gateway.raw(`GET /function/lasting/ws HTTP/1.1\r\n${upgrade}\r\n`);
    const stream = gateway.call('/function/lasting/events');
    const isBoth = ({ machines }: Activity['functions'][number]) => machines[0]?.calls === 2;
    await eventually(() => reports.filter(isBoth).length >= 3);
    expect(reports.filter(isBoth).at(-1)?.concurrency).toBeCloseTo(2, 1);
    gateway.announce('lasting', address, { ...settings, state: 'draining' });
    expect(await socket).toMatch(/^HTTP\/1.1 101[^]*open$/);
    // The end of the stream is a proper one, so that an EventSource connects again.
    expect(await stream).toMatchObject({ status: 200, body: 'data: 1\n\n' });
    expect(await gateway.inFlight('lasting', 'm1')).toEqual([{ calls: 0, open: false }]);
  });
});
