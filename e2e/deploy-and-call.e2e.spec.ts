import { join } from 'node:path';

import { packSource } from '#client';
import { expect, test } from 'vitest';

import { root } from './harness/child.ts';
import { deployAndWait, deployHello, removeAndWait, stepsOf } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { everyHouse } from './harness/house.ts';
import { addressesOf, leftoversOf, processesOf, runningMachinesOf } from './harness/look-inside.ts';
import { nodeApp, uniqueName } from './harness/sample-apps.ts';

inEachHouse(
  'source in, an answering URL out',
  (house) => {
    test('the example with a dependency from npm answers by hostname and by path', async () => {
      const { archive } = await packSource(join(root, 'examples', 'echo-name'));
      const deployment = await deployAndWait(house(), archive);
      expect(deployment).toMatchObject({ state: 'live', error: null, revision: 'echo-name-v1' });
      expect(deployment.url).toBe(`http://echo-name.localhost:${house().port}`);
      expect(stepsOf(deployment)).toEqual({
        'build-source': 'done',
        'start-machine': 'done',
        'register-route': 'done',
        'subscribe-logs': 'done',
        'set-triggers': 'done',
        'make-live': 'done',
        'drain-replaced': 'done',
      });
      const json = { body: '{"name":"Ada"}', headers: { 'content-type': 'application/json' } };
      const byHost = await house().call('/echo-name', { ...json, host: 'echo-name.localhost' });
      expect({ status: byHost.status, body: byHost.body.trim() }).toEqual({
        status: 200,
        body: 'Hello, Ada',
      });
      expect(byHost.headers).toMatchObject({
        'x-call-id': expect.any(String),
        'x-duration-seconds': expect.any(String),
        traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/),
      });
      const byPath = await house().call('/function/echo-name', json);
      expect({ status: byPath.status, body: byPath.body.trim() }).toEqual({
        status: 200,
        body: 'Hello, Ada',
      });
    });

    test('the name resolves through the platform’s own DNS while the function lives', async () => {
      const name = uniqueName('dns');
      expect(await addressesOf(house(), name)).toEqual([]);
      await deployHello(house(), name);
      expect(await addressesOf(house(), name)).toEqual(['127.0.0.1']);
      await removeAndWait(house(), name);
      expect(await addressesOf(house(), name)).toEqual([]);
    });

    test('a removed function leaves nothing behind', async () => {
      const name = uniqueName('gone');
      await deployHello(house(), name);
      await house().call(`/function/${name}/say?text=hello`);
      expect(await runningMachinesOf(name)).toHaveLength(1);
      expect((await leftoversOf(house(), name)).length).toBeGreaterThan(4);
      expect(await removeAndWait(house(), name)).toMatchObject({
        kind: 'remove',
        state: 'removed',
        error: null,
      });
      expect(await leftoversOf(house(), name)).toEqual([]);
      expect((await house().call(`/function/${name}`)).status).toBe(404);
      expect((await house().call('/', { host: `${name}.localhost` })).status).toBe(404);
      expect((await deployHello(house(), name)).state).toBe('live');
      await removeAndWait(house(), name);
    });

    test('the program sees its environment, its trace and nothing that is secret', async () => {
      const name = uniqueName('environment');
      const source = `
      require('node:http').createServer((request, response) =>
        response.end(JSON.stringify({ env: process.env, traceparent: request.headers.traceparent })),
      ).listen(process.env.PORT, '0.0.0.0');`;
      const deployment = await deployAndWait(
        house(),
        await nodeApp(name, source, 'env: { GREETING: Hello }\n'),
      );
      expect(deployment.state).toBe('live');
      const answer = await house().call(`/function/${name}`);
      const seen = JSON.parse(answer.body) as { env: Record<string, string>; traceparent: string };
      expect(seen.env).toMatchObject({
        GREETING: 'Hello',
        CESTX_FUNCTION: name,
        CESTX_REVISION: `${name}-v1`,
        CESTX_PROJECT: 'default',
        K_SERVICE: name,
        K_REVISION: `${name}-v1`,
      });
      expect(
        Object.keys(seen.env).filter((key) => /NATS_URL|DATABASE_URL|KEY|TOKEN|PASSWORD/.test(key)),
      ).toEqual([]);
      expect(seen.traceparent.split('-')[1]).toBe(String(answer.headers['traceparent']).split('-')[1]);
      await removeAndWait(house(), name);
      expect(await processesOf(name)).toEqual([]);
    });
  },
  everyHouse,
);
