import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { deployHello, removeAndWait, waitForEnd } from './harness/deploy.ts';
import { House, houseKinds, type HouseKind } from './harness/house.ts';
import { leftoversOf } from './harness/look-inside.ts';
import { expectOneMachineOf, pointsFor } from './harness/saga-points.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

describe.each(houseKinds)('bad days of the saga [$mode, $driver]', (kind: HouseKind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(kind);
  });
  afterAll(() => house?.stop());

  // Killed before its effect, a handler is only handed the command again: what follows is the same.
  test.each(pointsFor(kind, 'after-effect', 'after-commit'))(
    'killed at $command, $place: ends live or undone, nothing left, nothing twice',
    async ({ command, room, place }) => {
      const name = uniqueName('kill');
      await deployHello(house, name, 'old');
      await house.restart(room, { failpoints: `${command}:${place}:kill` });
      const { deploymentId } = await house.client.deployFunction({
        source: await nodeApp(name, helloSource('new')),
      });
      expect((await house.process(room).exited).signal).toBe('SIGKILL');
      await house.startMissing();
      const end = await waitForEnd(house, deploymentId);
      expect(['live', 'failed']).toContain(end.state);
      await expectOneMachineOf(house, name, end.state === 'live' ? 'new' : 'old');
      await removeAndWait(house, name);
      expect(await leftoversOf(house, name)).toEqual([]);
    },
  );

  test('the room that runs the saga is killed in every step of one deploy', async () => {
    const name = uniqueName('orchestrator');
    await deployHello(house, name, 'old');
    const { deploymentId } = await house.client.deployFunction({
      source: await nodeApp(name, helloSource('new')),
    });
    for (let kills = 0; kills < 5; kills++) {
      await new Promise((wake) => setTimeout(wake, 150));
      house.process('deployments').kill('SIGKILL');
      await house.process('deployments').exited;
      await house.startMissing();
    }
    expect(await waitForEnd(house, deploymentId)).toMatchObject({ state: 'live' });
    await expectOneMachineOf(house, name, 'new');
    await removeAndWait(house, name);
    expect(await leftoversOf(house, name)).toEqual([]);
  });
});
