import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { JetStreamObjects } from '#messaging';

import { GatewayRoom } from './gateway-room.fixture.ts';

let gateway: GatewayRoom;

beforeAll(async () => {
  gateway = await GatewayRoom.start({ CESTX_MAX_UPLOAD: '100000' });
});
afterAll(() => gateway?.stop());
afterEach(() => gateway.clear());

describe('the control plane', () => {
  it('needs the key, whose file only its owner may read', async () => {
    expect((await stat(join(gateway.folder, 'admin-key'))).mode & 0o777).toBe(0o600);
    const without = await gateway.call('/v1/functions');
    expect([without.status, JSON.parse(without.body).code]).toEqual([401, 'unauthenticated']);
    expect(without.headers['www-authenticate']).toBe('Bearer');
    const wrong = await gateway.call('/v1/functions', {
      headers: { authorization: `Bearer ${gateway.key}x` },
    });
    expect(wrong.status).toBe(401);
    const missing = await gateway.call('/v1/nothing', {
      headers: { authorization: `Bearer ${gateway.key}` },
    });
    expect([missing.status, JSON.parse(missing.body).code]).toEqual([404, 'not-found']);
    const bad = await gateway.call('/v1/functions?limit=abc', {
      headers: { authorization: `Bearer ${gateway.key}` },
    });
    expect([bad.status, JSON.parse(bad.body).code]).toEqual([400, 'bad-request']);
    expect(JSON.parse(bad.body).detail).toContain('limit');
  });

  it('says truthfully which rooms can work', async () => {
    const ready = await gateway.call('/readyz');
    expect(ready.status).toBe(503);
    const said = JSON.parse(ready.body) as { ready: boolean; rooms: { room: string; ready: boolean }[] };
    expect(said.rooms.find((one) => one.room === 'gateway')?.ready).toBe(true);
    expect(said.rooms.find((one) => one.room === 'machines')?.ready).toBe(false);
    expect((await gateway.call('/healthz')).body).toBe('ok\n');
  });

  it('counts calls by function and status', async () => {
    await gateway.serveFunction('counted', (_received, answer) => answer.end());
    await gateway.call('/function/counted');
    const { body } = await gateway.call('/metrics');
    expect(body).toMatch(/gateway_function_invocation_total\{function_name="counted",code="200"\} \d/);
    expect(body).toMatch(/gateway_functions_seconds_count\{function_name="counted"\} \d/);
    expect(body).toMatch(/gateway_service_count \d/);
  });

  it('shows a description of itself that needs nothing from elsewhere', async () => {
    const document = JSON.parse((await gateway.call('/openapi.json')).body) as { openapi: string };
    expect(document.openapi).toBe('3.1.0');
    const page = await gateway.call('/docs');
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
      const answer = await fetch(`http://127.0.0.1:${gateway.port}/v1/functions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${gateway.key}` },
        body,
      });
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([status, code]);
    }
    expect(await new JetStreamObjects(gateway.nats).list()).toEqual([]);
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
