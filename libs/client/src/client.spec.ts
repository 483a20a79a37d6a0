import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

import { afterEach, describe, expect, it } from 'vitest';

import { createClient } from './client.ts';
import { ProblemError } from './problem-error.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function gateway(listener: RequestListener) {
  const started = createServer(listener);
  server = started;
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve));
  return createClient({ url: `http://127.0.0.1:${(started.address() as AddressInfo).port}/`, key: 'secret' });
}

const event = (value: object) => `: here\n\nevent: deployment\ndata: ${JSON.stringify(value)}\n\n`;
const line = (cursor: number) => `${JSON.stringify({ text: `line ${cursor}`, cursor: String(cursor) })}\n`;

describe('the client', () => {
  it('sends the key with control calls and never to a function', async () => {
    const seen: (string | undefined)[] = [];
    const client = await gateway((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.end('{}');
    });
    await client.getFunction('a');
    await client.listFunctions({ limit: 5 });
    await client.invoke('a', { path: 'deep/path?x=1', body: 'b' });
    expect(seen).toEqual([
      'GET /v1/functions/a Bearer secret',
      'GET /v1/functions?limit=5 Bearer secret',
      'POST /function/a/deep/path?x=1 undefined',
    ]);
  });

  it('hands in the source and the manifest as parts', async () => {
    let body = '';
    const client = await gateway((request, response) => {
      void text(request).then((all) => {
        body = all;
        response.writeHead(202).end('{"deploymentId":"d1"}');
      });
    });
    const accepted = await client.deployFunction({ source: Buffer.from('bytes'), manifest: 'name: a' });
    expect(accepted.deploymentId).toBe('d1');
    expect(body).toMatch(/name="manifest"\r\n\r\nname: a\r\n/);
    expect(body).toMatch(/name="source"; filename="source"[^]*\r\n\r\nbytes\r\n/);
  });

  it('throws what the gateway refused with, and `unreachable` when none answers', async () => {
    const client = await gateway((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end(JSON.stringify({ code: 'not-found', detail: 'There is no function a.', help: 'Look.' }));
    });
    const refused = await client.getFunction('a').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ProblemError);
    expect(refused).toMatchObject({
      code: 'not-found',
      status: 404,
      message: 'There is no function a.',
      help: 'Look.',
    });
    const nobody = createClient({ url: 'http://127.0.0.1:1' });
    await expect(nobody.listFunctions()).rejects.toMatchObject({ code: 'unreachable', status: 0 });
  });

  it('follows a deployment to its end across a broken connection, telling nothing twice', async () => {
    const states = [{ state: 'pending' }, { state: 'running' }];
    let round = 0;
    const client = await gateway((_request, response) => {
      round++;
      if (round === 1) response.write(states.map(event).join(''), () => response.destroy());
      else if (round === 2) response.writeHead(503).end('{"code":"unavailable"}');
      else response.end([{ state: 'running' }, { state: 'live' }].map(event).join(''));
    });
    const told: string[] = [];
    for await (const { state } of client.followDeployment('d1')) told.push(state);
    expect(told).toEqual(['pending', 'running', 'live']);
  });

  it('follows a log from where it was when the connection breaks', async () => {
    const asked: (string | undefined)[] = [];
    const client = await gateway((request, response) => {
      asked.push(request.url);
      if (asked.length === 1) response.write(line(1) + line(2), () => response.destroy());
      else response.write(line(3));
    });
    const stop = new AbortController();
    const told: string[] = [];
    const follow = async () => {
      for await (const { text: said } of client.logs('a', { follow: true, tail: 2, signal: stop.signal })) {
        told.push(said);
        if (told.length === 3) stop.abort();
      }
    };
    await expect(follow()).rejects.toThrow();
    expect(told).toEqual(['line 1', 'line 2', 'line 3']);
    expect(asked).toEqual([
      '/v1/functions/a/logs?tail=2&follow=true',
      '/v1/functions/a/logs?after=2&follow=true',
    ]);
  });
});
