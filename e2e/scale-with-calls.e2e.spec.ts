import { expect, test } from 'vitest';

import { eventually } from '#testing';

import { changeScale, deployAndWait, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import type { House } from './harness/house.ts';
import { startLoad } from './harness/load.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

/** The shortest window there is; nothing goes to rest, so that what goes is the scaler's doing. */
const scale = 'scale: { target: 1, max: 3, window: 6s, freezeAfter: 1h, stopAfter: 1h }\n';

inEachHouse('scale with calls', (house) => {
  test('up to max under load, down by draining when it falls, never below min; no call fails, and it says why', async () => {
    const name = uniqueName('scale');
    await deployAndWait(house(), await nodeApp(name, helloSource(), scale));
    const much = startLoad(house(), [`/function/${name}/slow`], 6);
    const little = startLoad(house(), [`/function/${name}/slow`], 1);
    let most = 0;
    await eventually(
      async () => {
        most = Math.max(most, await runningOf(house(), name));
        return most >= 3;
      },
      { timeoutMs: 60_000 },
    );
    const calls = await much.stop();
    await changeScale(house(), name, { min: 2 });
    await eventually(async () => (await runningOf(house(), name)) === 2, { timeoutMs: 60_000 });
    const rest = await little.stop();
    expect([...calls.failures, ...rest.failures]).toEqual([]);
    expect(most).toBe(3);

    const { items } = await house().client.listScaleDecisions(name);
    expect(items.some(({ from, to }) => to === 3 && to > from)).toBe(true);
    expect(items[0]).toMatchObject({ from: 3, to: 2, reason: expect.stringMatching(/calls at a time/) });
    const metrics = (await house().call('/metrics')).body;
    expect(metrics).toMatch(`cestx_scale_wanted_machines{project="default",function_name="${name}"} 2`);
    await removeAndWait(house(), name);
  });
});

async function runningOf(house: House, name: string): Promise<number> {
  const { items } = await house.client.listMachines({ function: name });
  return items.filter(({ state }) => state === 'running').length;
}
