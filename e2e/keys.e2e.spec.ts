import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { uniqueName } from './harness/sample-apps.ts';

inEachHouse('keys', (house) => {
  test.each([
    ['GET', '/v1/functions'],
    ['POST', '/v1/functions'],
    ['GET', '/v1/functions/x'],
    ['DELETE', '/v1/functions/x'],
    ['GET', '/v1/functions/x/logs'],
    ['GET', '/v1/deployments/x'],
    ['GET', '/v1/deployments/x/events'],
    ['POST', '/v1/deployments/x/cancel'],
    ['GET', '/v1/machines'],
    ['GET', '/v1/routes'],
    ['GET', '/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736'],
  ])('%s %s needs the key, and says how to send it', async (method, path) => {
    for (const authorization of [undefined, 'Bearer wrong', 'Basic eDp5', `Bearer ${house().key}x`]) {
      const answer = await house().call(path, { method, headers: authorization ? { authorization } : {} });
      expect(answer.status).toBe(401);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(JSON.parse(answer.body)).toMatchObject({
        code: 'unauthenticated',
        help: expect.stringContaining('Bearer'),
      });
    }
  });

  test('the key lies in a file that only its owner can read', async () => {
    expect((await stat(join(house().data, 'admin-key'))).mode & 0o777).toBe(0o600);
  });

  test('calls to functions, health and readiness need none', async () => {
    const name = uniqueName('open');
    await deployHello(house(), name);
    for (const path of [`/function/${name}`, '/healthz', '/readyz']) {
      expect((await house().call(path)).status).toBe(200);
    }
    await removeAndWait(house(), name);
  });
});
