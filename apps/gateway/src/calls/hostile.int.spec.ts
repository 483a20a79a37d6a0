import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { eventually } from '#testing';

import { GatewayRoom } from '../gateway-room.fixture.ts';

let gateway: GatewayRoom;

beforeAll(async () => {
  gateway = await GatewayRoom.start({
    CESTX_HOLD_MS: '20000',
    CESTX_MAX_HELD_CALLS: '6',
    CESTX_HEADERS_TIMEOUT_MS: '800',
    CESTX_REQUEST_TIMEOUT_MS: '2500',
  });
});
afterAll(() => gateway?.stop());
afterEach(async () => {
  if ((await gateway.call('/healthz')).status !== 200) throw new Error('the gateway did not stay up');
  await gateway.clear();
});

/** Seen by a function: what came whole, and what broke off. */
interface Seen {
  whole: string[];
  broken: string[];
}

/** Reads what it gets, and answers with `finish(url)`, or at once when the path is `/now`. */
async function reader(name: string): Promise<Seen & { finish: (url: string) => void }> {
  const seen: Seen = { whole: [], broken: [] };
  const open = new Map<string, () => void>();
  await gateway.serveFunction(name, (received: IncomingMessage, answer) => {
    const url = received.url ?? '';
    received.once('error', () => seen.broken.push(url));
    void text(received).then(
      () => {
        seen.whole.push(url);
        if (url.startsWith('/now')) answer.end('at once');
        else open.set(url, () => answer.end('at last'));
      },
      () => undefined,
    );
  });
  return { ...seen, finish: (url) => open.get(url)?.() };
}

/** A function that writes bytes as they are, without reading what it is asked. */
async function writer(
  name: string,
  bytes: (socket: Socket, head: string) => void,
  timeout = 20_000,
): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined).once('data', (head) => bytes(socket, head.toString('latin1')));
  });
  gateway.announce(name, await gateway.listen(server), { timeout });
  await eventually(async () => (await gateway.inFlight(name, 'm1'))[0]?.open);
  await gateway.known(name);
}

const isFree = (name: string) => eventually(async () => (await gateway.inFlight(name, 'm1'))[0]?.calls === 0);
const held = async () => /^cestx_held_calls (\d+)/m.exec((await gateway.call('/metrics')).body)?.[1];
const statuses = (said: string) => said.match(/HTTP\/1\.\d \d{3}/g) ?? [];

describe('a caller', () => {
  it('that frames a request so that two servers could read it differently is refused, and the function sees no whole request', async () => {
    const seen = await reader('strict');
    const start = 'POST /function/strict/now HTTP/1.1\r\nHost: localhost\r\n';
    const chunked = `${start}Transfer-Encoding: chunked\r\n`;
    const attempts: [string, RegExp][] = [
      [`${start}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /`, /^HTTP\/1.1 400/],
      [`${chunked}Content-Length: 5\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: 5, 5\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: +5\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: -1\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: 99999999999999999999\r\n\r\nhello`, /^HTTP\/1.1 4(00|13)/],
      [`${start}Content-Length : 5\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Content-Length: \r\n 5\r\n\r\nhello`, /^HTTP\/1.1 400/],
      [`${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked.replace('1.1', '1.0')}\r\n0\r\n\r\n`, /^HTTP\/1.[01] 400/],
      [`${chunked}\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n0x5\r\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n-5\r\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n5\r\nhelloworld\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n5\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n5 ;x\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${chunked}\r\n5;${'x'.repeat(40_000)}\r\nhello\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}Bad Name: x\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Cr: a\rb\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [start.replaceAll('\r', '') + 'Content-Length: 0\n\n', /^HTTP\/1.1 400/],
      [`${start}Host: other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${start}X-Long: ${'a'.repeat(40_000)}\r\n\r\n`, /^HTTP\/1.1 431/],
      [`${start}${'a:\r\n'.repeat(9_000)}\r\n`, /^HTTP\/1.1 431/],
      [`GET /function/strict/${'a'.repeat(40_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1.1 431/],
      ['POST /function/strict/now HTTP/1.1\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
      ['GET //evil HTTP/9.9\r\n\r\n', /^HTTP\/1.1 (400|505)/],
      ['\u0016\u0003\u0001 not http', /^HTTP\/1.1 400/],
      ['GET /function/..%2f..%2fetc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', /^HTTP\/1.1 400/],
      ['CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n', /^(HTTP\/1.1 400|$)/],
    ];
    const wrong: string[] = [];
    for (const [bytes, expected] of attempts) {
      const said = await gateway.raw(bytes).catch((error: unknown) => String(error));
      if (expected.test(said) && statuses(said).length <= 1) continue;
      wrong.push(`${JSON.stringify(bytes).slice(0, 160)} => ${said.slice(0, 100)}`);
    }
    expect(wrong).toEqual([]);
    expect(seen.whole).toEqual([]);
  });

  it('gets the answers to the requests before the one that is garbage, whole, and then 400', async () => {
    const { whole, finish } = await reader('pipelined');
    const get = (url: string) => `GET /function/pipelined${url} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const said = gateway.raw(`${get('/1')}${get('/2')}GARBAGE\r\n\r\n`, undefined, (socket) => {
      setTimeout(() => socket.write('more garbage\r\n\r\n'), 50);
    });
    await eventually(() => whole.length === 2);
    finish('/2');
    await new Promise((resolve) => setTimeout(resolve, 100));
    finish('/1');
    expect((await said).match(/HTTP\/1.1 \d+|at last/g)).toEqual([
      'HTTP/1.1 200',
      'at last',
      'HTTP/1.1 200',
      'at last',
      'HTTP/1.1 400',
    ]);
  });

  it('that breaks its body off or frames it wrongly half way never completes a call', async () => {
    const { whole, broken } = await reader('halfway');
    const head = 'POST /function/halfway/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';
    const garbled = await gateway.raw(`${head}5\r\nhello\r\n`, undefined, (socket) => {
      setTimeout(() => socket.write('nonsense\r\n'), 100);
    });
    expect(garbled).toMatch(/^HTTP\/1.1 400/);
    await eventually(() => broken.length === 1);
    await gateway
      .raw(`${head}5\r\nhello\r\n`, undefined, (socket) => {
        setTimeout(() => socket.resetAndDestroy(), 100);
      })
      .catch(() => undefined);
    await eventually(() => broken.length === 2);
    expect(whole).toEqual([]);
    await isFree('halfway');
  });

  it('that sends slowly is given up after a while, and so is its call', async () => {
    const { whole, broken } = await reader('drip');
    const start = 'POST /function/drip/x HTTP/1.1\r\nHost: localhost\r\n';
    const drip = (socket: Socket, bytes: string) => {
      const timer = setInterval(() => socket.write(bytes), 50);
      socket.once('close', () => clearInterval(timer));
    };
    const slow = [
      gateway.raw('', undefined, () => undefined),
      gateway.raw(start, undefined, (socket) => drip(socket, 'a: b\r\n')),
      gateway.raw(`${start}Content-Length: 1000\r\n\r\n`, undefined, (socket) => drip(socket, 'x')),
      gateway.raw(`${start}Transfer-Encoding: chunked\r\n\r\n`, undefined, (socket) =>
        drip(socket, '1\r\nx\r\n'),
      ),
    ];
    for (const one of slow) expect(await one).toMatch(/^HTTP\/1.1 408[^]*}$/);
    await eventually(() => broken.length === 1);
    expect(whole).toEqual([]);
    await isFree('drip');
  });

  it('that leaves, or closes its side, is not called for, waiting or not', async () => {
    const { whole } = await reader('here');
    gateway.announce('resting', '127.0.0.1:1', { state: 'absent' });
    await gateway.known('resting');
    const head = (name: string, more = '') =>
      `GET /function/${name}/x HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
    const leaving: Socket[] = [];
    for (const bytes of [head('resting'), head('resting'), head('resting', upgrade)]) {
      const socket = connect(gateway.port, '127.0.0.1', () => socket.write(bytes)).on(
        'error',
        () => undefined,
      );
      leaving.push(socket);
    }
    await eventually(async () => (await held()) === '3');
    leaving[0]?.destroy();
    leaving[1]?.end();
    leaving[2]?.end();
    await eventually(async () => (await held()) === '0');
    const socket = connect(gateway.port, '127.0.0.1', () => socket.write(head('here')));
    await eventually(() => whole.length === 1);
    socket.end();
    await isFree('here');
  });

  it('that waits beside too many others is sent away with a time to come again', async () => {
    gateway.announce('crowded', '127.0.0.1:1', { state: 'absent' });
    gateway.announce('quiet', '127.0.0.1:1', { state: 'absent' });
    for (const name of ['crowded', 'quiet']) await gateway.known(name);
    const leaving = new AbortController();
    const open = Array.from({ length: 3 }, () =>
      fetch(`http://127.0.0.1:${gateway.port}/function/crowded`, { signal: leaving.signal }).catch(
        () => null,
      ),
    );
    await eventually(async () => (await held()) === '3');
    const refused = await gateway.call('/function/crowded');
    expect([refused.status, refused.headers['retry-after'], JSON.parse(refused.body).code]).toEqual([
      503,
      '1',
      'unavailable',
    ]);
    // One function does not use up the places of all others.
    open.push(
      fetch(`http://127.0.0.1:${gateway.port}/function/quiet`, { signal: leaving.signal }).catch(() => null),
    );
    await eventually(async () => (await held()) === '4');
    leaving.abort();
    await Promise.all(open);
    await eventually(async () => (await held()) === '0');
  });

  it('that does not read makes the function wait, not the gateway fill, and is cut off with the timeout', async () => {
    let written = 0;
    const gone = Promise.withResolvers<void>();
    const server = createHttpServer((_received, answer) => {
      const chunk = Buffer.alloc(64 * 1024, 'x');
      const more = () => {
        do written += chunk.length;
        while (answer.write(chunk));
      };
      answer.on('drain', more).once('close', () => gone.resolve());
      more();
    });
    gateway.announce('firehose', await gateway.listen(server), { timeout: 1500 });
    await eventually(async () => (await gateway.inFlight('firehose', 'm1'))[0]?.open);
    await gateway.known('firehose');
    const socket = connect(gateway.port, '127.0.0.1').pause();
    socket.on('error', () => undefined);
    socket.write('GET /function/firehose HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await gone.promise;
    expect(written).toBeLessThan(30_000_000);
    socket.destroy();
    await isFree('firehose');
  });

  it('that sends on after an early answer is read to the end or cut off, and its connection goes on', async () => {
    await writer('early', (socket) => {
      socket.resume().write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
    });
    await reader('next');
    const first = `POST /function/early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n`;
    const second = 'GET /function/next/now HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const said = await gateway.raw(`${first}${'x'.repeat(3_000_000)}${second}`);
    expect(said).toMatch(/^HTTP\/1.1 401[^]*noHTTP\/1.1 200[^]*at once$/);
  });
});

describe('a function', () => {
  it('that answers what is no HTTP gets its caller 502, each time, and a good one is not harmed', async () => {
    const ok = 'HTTP/1.1 200 OK\r\n';
    const answers: Record<string, string> = {
      garbage: 'this is no HTTP\r\n\r\n',
      nothing: '',
      'http-0.9': '<html>',
      smuggle: `${ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      'two-lengths': `${ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc`,
      'bad-length': `${ok}Content-Length: -2\r\n\r\nabc`,
      'endless-headers': `${ok}${'X-More: and more\r\n'.repeat(5_000)}`,
      'control-in-header': `${ok}X-Bad: a\u0001b\r\nContent-Length: 0\r\n\r\n`,
      'control-in-status': 'HTTP/1.1 200 O\u0001K\r\nContent-Length: 0\r\n\r\n',
      'bad-name': `${ok}X Bad: a\r\nContent-Length: 0\r\n\r\n`,
      'unasked-upgrade':
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
      'half-head': `${ok}X-Half: `,
    };
    await writer('garbler', (socket, head) =>
      socket.end(answers[/ \/(\S*) /.exec(head)?.[1] ?? ''] ?? '', 'latin1'),
    );
    const got: Record<string, number> = {};
    for (const kind of Object.keys(answers)) {
      for (const method of ['GET', 'POST']) {
        const said = await gateway.raw(
          `${method} /function/garbler/${kind} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        got[`${method} ${kind}`] = Number(said.slice(9, 12));
      }
    }
    expect(Object.entries(got).filter(([, status]) => status !== 502)).toEqual([]);
    await isFree('garbler');
  });

  it('that answers half, or goes on for ever, leaves no caller with an answer that looks whole', async () => {
    const ok = 'HTTP/1.1 200 OK\r\n';
    const answers: Record<string, (socket: Socket) => void> = {
      '/short': (socket) => socket.end(`${ok}Content-Length: 10\r\n\r\nhalf`),
      '/chunk': (socket) => socket.end(`${ok}Transfer-Encoding: chunked\r\n\r\n9\r\nhalf`),
      '/stuck': (socket) => socket.write(`${ok}Content-Length: 10\r\n\r\nhalf`),
      '/late': () => undefined,
      '/informing': (socket) => {
        const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 20);
        socket.once('close', () => clearInterval(timer));
      },
      '/zero': (socket) => socket.write('HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n'),
      '/more': (socket) => socket.end(`${ok}Content-Length: 4\r\n\r\nhalfHTTP/1.1 200 OK\r\n\r\nextra`),
    };
    await writer('halver', (socket, head) => answers[/ (\S*) /.exec(head)?.[1] ?? '']?.(socket), 2000);
    const got: Record<string, string> = {};
    await Promise.all(
      Object.keys(answers).map(async (path) => {
        got[path] = await gateway.call(`/function/halver${path}`, { body: 'x' }).then(
          ({ status, body }) => `${status} ${status === 200 ? body : ''}`.trim(),
          () => 'broken off',
        );
      }),
    );
    expect(got).toMatchObject({
      '/short': 'broken off',
      '/chunk': 'broken off',
      '/stuck': 'broken off',
      '/late': '504',
      '/informing': '504',
      '/more': '200 half',
    });
    expect(got['/zero']).toMatch(/^50[24]$/);
    await isFree('halver');
  });
});
