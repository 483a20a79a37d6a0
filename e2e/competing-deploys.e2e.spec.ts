import { expect, test } from 'vitest';

import { deployHello, removeAndWait, waitForEnd } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import { leftoversOf, runningMachinesOf } from './harness/look-inside.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

inEachHouse('competing deployments', (house) => {
  test('two deploys of one function at once both end, one after the other, and the later one serves', async () => {
    const name = uniqueName('twice');
    const [first, second] = await Promise.all([
      house().client.deployFunction({ source: await nodeApp(name, helloSource('first')) }),
      house().client.deployFunction({ source: await nodeApp(name, helloSource('second')) }),
    ]);
    const ends = await Promise.all([
      waitForEnd(house(), first.deploymentId),
      waitForEnd(house(), second.deploymentId),
    ]);
    expect(ends.map((end) => end.state)).toEqual(['live', 'live']);
    expect(ends.map((end) => end.revision).sort()).toEqual([`${name}-v1`, `${name}-v2`]);
    const last = ends.find((end) => end.revision === `${name}-v2`);
    const answer = await house().call(`/function/${name}`);
    expect(JSON.parse(answer.body)).toMatchObject({
      revision: `${name}-v2`,
      version: last === ends[0] ? 'first' : 'second',
    });
    expect(await runningMachinesOf(name)).toHaveLength(1);
    await removeAndWait(house(), name);
    expect(await leftoversOf(house(), name)).toEqual([]);
  });

  test('a deploy of a function that is being removed comes after the removal and is live', async () => {
    const name = uniqueName('again');
    await deployHello(house(), name, 'old');
    const removal = await house().client.removeFunction(name);
    const deploy = await house().client.deployFunction({ source: await nodeApp(name, helloSource('new')) });
    expect(await waitForEnd(house(), removal.deploymentId)).toMatchObject({ state: 'removed' });
    expect(await waitForEnd(house(), deploy.deploymentId)).toMatchObject({ state: 'live' });
    expect(JSON.parse((await house().call(`/function/${name}`)).body)).toMatchObject({ version: 'new' });
    expect(await runningMachinesOf(name)).toHaveLength(1);
    await removeAndWait(house(), name);
    expect(await leftoversOf(house(), name)).toEqual([]);
  });

  test('removing what is not there is told as such', async () => {
    await expect(house().client.removeFunction(uniqueName('never'))).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('two removals at once leave nothing and neither hangs', async () => {
    const name = uniqueName('both');
    await deployHello(house(), name);
    const orders = await Promise.allSettled([
      house().client.removeFunction(name),
      house().client.removeFunction(name),
    ]);
    // The second may find the function gone already, which is as good.
    const ends = await Promise.all(
      orders.flatMap((order) =>
        order.status === 'fulfilled' ? [waitForEnd(house(), order.value.deploymentId)] : [],
      ),
    );
    expect(ends.some((end) => end.state === 'removed')).toBe(true);
    expect(await leftoversOf(house(), name)).toEqual([]);
  });
});
