import { expect, test } from 'vitest';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { runningMachinesOf } from './harness/look-inside.ts';
import { startLoad } from './harness/load.ts';
import { uniqueName } from './harness/sample-apps.ts';

inEachHouse('redeploy', (house) => {
  test('replaces without a failed request under load, and what was replaced is gone', async () => {
    const name = uniqueName('swap');
    await deployHello(house(), name, 'one');
    const load = startLoad(house(), [`/function/${name}`, `/function/${name}/slow`], 8);
    for (const version of ['two', 'three']) {
      const deployment = await deployHello(house(), name, version);
      expect(deployment).toMatchObject({ state: 'live', error: null });
    }
    const result = await load.stop();
    expect(result.failures).toEqual([]);
    expect(result.total).toBeGreaterThan(50);
    const versions = result.bodies.map((body) => (JSON.parse(body) as { version: string }).version);
    expect(new Set(versions)).toEqual(new Set(['one', 'two', 'three']));
    const now = await house().call(`/function/${name}`);
    expect(JSON.parse(now.body)).toMatchObject({ version: 'three', revision: `${name}-v3` });
    expect(await runningMachinesOf(name)).toHaveLength(1);
    await removeAndWait(house(), name);
  });

  test('a redeploy that fails leaves the old revision serving, without a failed request', async () => {
    const name = uniqueName('keep');
    await deployHello(house(), name, 'one');
    const load = startLoad(house(), [`/function/${name}`], 4);
    const deployment = await deployHello(house(), name, "two'); process.exit(3); console.log('");
    expect(deployment).toMatchObject({ state: 'failed', error: { step: 'start-machine' } });
    const result = await load.stop();
    expect(result.failures).toEqual([]);
    expect(await runningMachinesOf(name)).toHaveLength(1);
    expect(await house().client.getFunction(name)).toMatchObject({ state: 'live', revision: `${name}-v1` });
    await removeAndWait(house(), name);
  });
});
