import { expect, test } from 'vitest';

import { eventually } from '#testing';

import { deployAndWait, deployHello, removeAndWait, stepsOf, waitForEnd } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { leftoversOf, processesSaying } from './harness/look-inside.ts';
import { nodeApp, packFiles, uniqueName } from './harness/sample-apps.ts';

const quick = 'health: { startup: 3s }\n';

inEachHouse('a deploy that cannot succeed', (house) => {
  test('a build that fails names the step and shows the end of the build log', async () => {
    const name = uniqueName('bad-build');
    const source = await packFiles({
      'function.yaml': `name: ${name}\n`,
      'package.json': JSON.stringify({
        name,
        version: '1.0.0',
        scripts: { start: 'node index.js' },
        dependencies: { 'left-pad': '1.3.0' },
      }),
      'package-lock.json': JSON.stringify({
        name,
        version: '1.0.0',
        lockfileVersion: 3,
        packages: { '': { name } },
      }),
      'index.js': '',
    });
    const deployment = await deployAndWait(house(), source);
    expect(deployment).toMatchObject({
      state: 'failed',
      error: { step: 'build-source', code: 'build-failed' },
    });
    expect(deployment.error?.lastLines.length).toBeGreaterThan(0);
    expect(deployment.error?.message).toMatch(/package-lock\.json|npm/);
    expect(await leftoversOf(house(), name, { keepsLines: true })).toEqual([]);
  });

  test.each([
    [
      'never listens',
      'setInterval(() => {}, 1000); console.log("here but silent");',
      /listen|ready|answer/i,
      'here but silent',
    ],
    ['exits at once', 'console.error("cannot go on"); process.exit(7);', /7|exit/i, 'cannot go on'],
    [
      'listens on the wrong port',
      'console.log("on another port"); require("node:http").createServer(() => {}).listen(0, "127.0.0.1");',
      /listen|ready|answer|port/i,
      'on another port',
    ],
  ])(
    'a program that %s fails to start, with its reason and last lines, and leaves nothing',
    async (_, source, reason, line) => {
      const name = uniqueName('bad-start');
      const deployment = await deployAndWait(house(), await nodeApp(name, source, quick));
      expect(deployment).toMatchObject({
        state: 'failed',
        error: { step: 'start-machine', code: 'start-failed' },
      });
      expect(deployment.error?.message).toMatch(reason);
      expect(deployment.error?.lastLines.join('\n')).toContain(line);
      expect(stepsOf(deployment)).toMatchObject({ 'build-source': 'undone', 'make-live': 'pending' });
      expect(await leftoversOf(house(), name, { keepsLines: true })).toEqual([]);
    },
  );

  test('one that is cancelled in mid-build ends at once as cancelled, and leaves nothing', async () => {
    const name = uniqueName('cancelled');
    const waits = `wait-${name}.js`;
    const source = await packFiles({
      'function.yaml': `name: ${name}\n`,
      'package.json': JSON.stringify({
        name,
        version: '1.0.0',
        scripts: { build: `node ${waits}`, start: 'node index.js' },
      }),
      [waits]: 'setTimeout(() => {}, 600_000);',
      'index.js': '',
    });
    const { deploymentId } = await house().client.deployFunction({ source });
    await eventually(async () => (await processesSaying(waits)).length > 0, { timeoutMs: 60_000 });
    expect(await house().client.cancelDeployment(deploymentId)).toMatchObject({
      deploymentId,
      function: name,
    });
    const deployment = await waitForEnd(house(), deploymentId);
    expect(deployment).toMatchObject({
      state: 'failed',
      error: { step: 'build-source', code: 'cancelled' },
    });
    expect(stepsOf(deployment)).toMatchObject({ 'build-source': 'failed', 'start-machine': 'pending' });
    // The container engine ends a cancelled build's program in its own time.
    await eventually(async () => (await processesSaying(waits)).length === 0, { timeoutMs: 10_000 });
    expect(await leftoversOf(house(), name, { keepsLines: true })).toEqual([]);
    // Once more changes nothing; one that never was is told.
    await house().client.cancelDeployment(deploymentId);
    expect(await house().client.getDeployment(deploymentId)).toEqual(deployment);
    await expect(house().client.cancelDeployment('never')).rejects.toMatchObject({
      code: 'not-found',
      status: 404,
    });
  });

  test('a failed first deploy does not stand in the way of a good second one', async () => {
    const name = uniqueName('second-try');
    await deployAndWait(house(), await nodeApp(name, 'process.exit(1)', quick));
    expect(await deployHello(house(), name)).toMatchObject({ state: 'live' });
    expect((await house().call(`/function/${name}`)).status).toBe(200);
    await removeAndWait(house(), name);
    expect(await leftoversOf(house(), name)).toEqual([]);
  });
});
