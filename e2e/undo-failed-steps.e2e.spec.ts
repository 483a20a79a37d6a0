import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Deployment } from '#client';
import { eventually } from '#testing';

import { deployHello, removeAndWait, waitForEnd } from './harness/deploy.ts';
import { House, houseKinds, type HouseKind } from './harness/house.ts';
import { leftoversOf } from './harness/look-inside.ts';
import { expectOneMachineOf, pointsFor } from './harness/saga-points.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

describe.each(houseKinds)('steps that fail [$mode, $driver]', (kind: HouseKind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(kind);
  });
  afterAll(() => house?.stop());

  const failing = pointsFor(kind, 'before-effect', 'after-effect').filter(
    ({ place }) => place !== 'after-commit',
  );
  test.each(failing)(
    'failed at $command, $place: undone to what was there before',
    async ({ command, room, place }) => {
      const name = uniqueName('fail');
      await deployHello(house, name, 'old');
      await house.restart(room, { failpoints: `${command}:${place}:fail` });
      const { deploymentId } = await house.client.deployFunction({
        source: await nodeApp(name, helloSource('new')),
      });
      if (command === 'drain-machines') {
        // Behind the point of no return a step is tried again until it works.
        await eventually(async () => attemptedDrain(await house.client.getDeployment(deploymentId)));
        await house.restart(room);
        expect(await waitForEnd(house, deploymentId)).toMatchObject({ state: 'live' });
      } else {
        // Undone by the same command, which is tried again until it works.
        if (command === 'set-triggers') {
          await eventually(async () => (await house.client.getDeployment(deploymentId)).state === 'undoing');
          await house.restart(room);
        }
        expect(await waitForEnd(house, deploymentId)).toMatchObject({
          state: 'failed',
          error: { step: command === 'shift-traffic' ? 'make-live' : command },
        });
        await house.restart(room);
      }
      const end = await house.client.getDeployment(deploymentId);
      await expectOneMachineOf(house, name, end.state === 'live' ? 'new' : 'old');
      await removeAndWait(house, name);
      expect(await leftoversOf(house, name)).toEqual([]);
    },
  );

  // After the effect there is something to take back; before it, less.
  const firsts = pointsFor(kind, 'after-effect').filter(({ place }) => place !== 'after-commit');
  test.each(firsts.filter(({ command }) => command !== 'drain-machines'))(
    'a first deploy failed at $command, $place leaves nothing at all',
    async ({ command, room, place }) => {
      const name = uniqueName('first');
      await house.restart(room, { failpoints: `${command}:${place}:fail` });
      const { deploymentId } = await house.client.deployFunction({
        source: await nodeApp(name, helloSource()),
      });
      expect(await waitForEnd(house, deploymentId)).toMatchObject({ state: 'failed' });
      await house.restart(room);
      expect(await leftoversOf(house, name, { keepsLines: true })).toEqual([]);
    },
  );
});

function attemptedDrain(deployment: Deployment): boolean {
  const step = deployment.steps.find(({ name }) => name === 'drain-replaced');
  return step?.state === 'running' && Date.now() - Date.parse(step.startedAt ?? '') > 300;
}
