import { execFile, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { decode, encode, streamEncode, type Packet } from 'dns-packet';
import { afterEach, describe, expect, it } from 'vitest';

import { answerQuery } from './answer-query.ts';
import { DnsServer, type DnsServerOptions } from './dns-server.ts';
import { ZoneTable } from './zone-table.ts';

const servers: DnsServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function listen(options: Partial<DnsServerOptions> = {}, origin = 'localhost'): Promise<DnsServer> {
  const zone = new ZoneTable(origin, { v4: '127.0.0.1', v6: '::1' }, 5);
  zone.replace([`echo-name.${origin}`, `cart.shop.${origin}`]);
  const server = await DnsServer.listen({
    host: '127.0.0.1',
    port: 0,
    answer: (query, transport) => answerQuery(zone, query, transport),
    onError: (error) => {
      throw error;
    },
    ...options,
  });
  servers.push(server);
  return server;
}

const question = (name: string, id = 1): Packet => ({ type: 'query', id, questions: [{ name, type: 'A' }] });

/** Reads framed answers from a stream until there are `count`, or it ends. */
function answersFrom(socket: Socket, count: number): Promise<Packet[]> {
  return new Promise((resolve, reject) => {
    const found: Packet[] = [];
    let received = Buffer.alloc(0);
    socket.on('error', reject);
    socket.on('close', () => resolve(found));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        found.push(decode(received.subarray(2, end)));
        received = received.subarray(end);
      }
      if (found.length >= count) resolve(found);
    });
  });
}

describe('DnsServer', () => {
  it("answers Node's own resolver", async () => {
    const { port } = await listen();
    const resolver = new Resolver({ timeout: 2000, tries: 1 });
    resolver.setServers([`127.0.0.1:${port}`]);
    await expect(resolver.resolve4('echo-name.localhost')).resolves.toEqual(['127.0.0.1']);
    await expect(resolver.resolve6('cart.shop.localhost')).resolves.toEqual(['::1']);
    await expect(resolver.resolveNs('localhost')).resolves.toEqual(['ns.localhost']);
    await expect(resolver.resolveSoa('localhost')).resolves.toMatchObject({
      nsname: 'ns.localhost',
      minttl: 5,
    });
    await expect(resolver.resolve4('nobody.localhost')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    await expect(resolver.resolve4('shop.localhost')).rejects.toMatchObject({ code: 'ENODATA' });
    await expect(resolver.resolve4('example.com')).rejects.toMatchObject({ code: 'EREFUSED' });
  });

  const hasDig = spawnSync('dig', ['-v']).status === 0;
  if (!hasDig) process.stderr.write('SKIPPED: dig is not installed (apt install dnsutils)\n');
  it.skipIf(!hasDig)('answers dig over UDP and TCP', async () => {
    const { port } = await listen();
    const dig = async (...words: string[]) =>
      (await promisify(execFile)('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=3', ...words]))
        .stdout;
    expect(await dig('+short', 'echo-name.localhost')).toBe('127.0.0.1\n');
    expect(await dig('+short', '+tcp', 'echo-name.localhost', 'AAAA')).toBe('::1\n');
    const missing = await dig('nobody.localhost');
    expect(missing).toMatch(/status: NXDOMAIN/);
    expect(missing).toMatch(/flags: qr aa rd;/);
    expect(missing).toMatch(/localhost\.\s+5\s+IN\s+SOA\s+ns\.localhost\. hostmaster\.localhost\./);
    expect(missing).not.toMatch(/malformed|WARNING: .*(extra|bad)/i);
    expect(await dig('shop.localhost')).toMatch(/status: NOERROR[^]*ANSWER: 0/);
    expect(await dig('example.com')).toMatch(/status: REFUSED/);
    expect(await dig('localhost', 'AXFR')).toMatch(/Transfer failed/);
    expect(await dig('+tcp', 'localhost', 'ANY')).toMatch(/HINFO\s+"RFC8482" ""/);
    expect(await dig('+edns=1', '+noednsneg', 'localhost')).toMatch(/status: BADVERS/);
  });

  it.skipIf(!hasDig)('makes dig come again over TCP when the answer did not fit a datagram', async () => {
    const wide = Array.from({ length: 3 }, () => 'd'.repeat(60)).join('.');
    const { port } = await listen({}, wide);
    const words = ['@127.0.0.1', '-p', String(port), '+noedns', '+tries=1', `nobody.${wide}`];
    const { stdout } = await promisify(execFile)('dig', words);
    expect(stdout).toMatch(/Truncated, retrying in TCP mode/);
    expect(stdout).toMatch(/status: NXDOMAIN[^]*AUTHORITY: 1/);
  });

  it('answers pipelined queries of one connection in order, however they are cut into packets', async () => {
    const { port } = await listen();
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    const queries = Array.from({ length: 20 }, (_, i) =>
      streamEncode(question('echo-name.localhost', i + 1)),
    );
    const answers = answersFrom(socket, queries.length);
    const bytes = Buffer.concat(queries);
    for (let at = 0; at < bytes.length; at += 37) {
      socket.write(bytes.subarray(at, at + 37));
      await sleep(1);
    }
    expect((await answers).map((answer) => answer.id)).toEqual(queries.map((_, i) => i + 1));
    socket.destroy();
  });

  it('loses no answer to a client that asks much before it reads', async () => {
    const { port } = await listen();
    const count = 50_000;
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    const one = streamEncode(question('echo-name.localhost'));
    socket.write(Buffer.concat(Array.from({ length: count }, () => one)));
    await sleep(200);
    const answers = answersFrom(socket, count);
    socket.resume();
    expect(await answers).toHaveLength(count);
    socket.destroy();
  });

  it('closes a connection that says nothing, one that announces too much, and one too many', async () => {
    const { port } = await listen({ idleMs: 100, maxConnections: 2 });
    const started = Date.now();
    const silent = connect(port, '127.0.0.1');
    silent.write(Buffer.from([0]));
    expect(await answersFrom(silent, 1)).toEqual([]);
    expect(Date.now() - started).toBeGreaterThanOrEqual(90);

    const greedy = connect(port, '127.0.0.1');
    greedy.write(Buffer.from([0xff, 0xff, 1]));
    expect(await answersFrom(greedy, 1)).toEqual([]);

    const sockets = Array.from({ length: 3 }, () => connect(port, '127.0.0.1'));
    const answers = sockets.map((socket) => answersFrom(socket, 1).catch(() => []));
    for (const socket of sockets) socket.write(streamEncode(question('echo-name.localhost')));
    const served = (await Promise.all(answers)).filter((found) => found.length === 1);
    expect(served).toHaveLength(2);
    for (const socket of sockets) socket.destroy();
  });

  it('goes on after an answer it could not send and after a query that made it fail', async () => {
    const errors: Error[] = [];
    let first = true;
    const zone = new ZoneTable('localhost', { v4: '127.0.0.1', v6: null }, 5);
    const { port } = await listen({
      answer: (query, transport) => {
        if (!first) return answerQuery(zone, query, transport);
        first = false;
        throw new Error('a defect');
      },
      onError: (error) => errors.push(error),
    });
    const socket = createSocket('udp4');
    const answer = new Promise<Buffer>((resolve) => socket.once('message', resolve));
    socket.send(encode(question('localhost')), port, '127.0.0.1');
    await sleep(50);
    socket.send(encode(question('localhost', 2)), port, '127.0.0.1');
    expect(decode(await answer).id).toBe(2);
    expect(errors.map((error) => error.message)).toEqual(['a defect']);
    socket.close();
  });

  it('fails with EADDRINUSE when only one of the two ports is taken', async () => {
    const { port } = await listen();
    await expect(listen({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    const datagramOnly = createSocket('udp4');
    await new Promise<void>((resolve) => datagramOnly.bind(0, '127.0.0.1', resolve));
    await expect(listen({ port: datagramOnly.address().port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    datagramOnly.close();
  });
});
