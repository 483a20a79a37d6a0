import { eventually } from '#testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Deployment } from '#client';

import { deployHello, removeAndWait, waitForEnd } from './harness/deploy.ts';
import { House, houseKinds, type HouseKind, type RoomName } from './harness/house.ts';
import { leftoversOf, runningMachinesOf } from './harness/look-inside.ts';
import { helloSource, nodeApp, uniqueName } from './harness/sample-apps.ts';

/** Each command of the saga and the room that does it. */
const commands: [string, RoomName][] = [
  ['build-source', 'templates'],
  ['start-machine', 'machines'],
  ['register-route', 'routes'],
  ['subscribe-logs', 'logs'],
  ['shift-traffic', 'routes'],
  ['drain-machines', 'machines'],
];
const places = ['before-effect', 'after-effect', 'after-commit'];
const points = commands.flatMap(([command, room]) => places.map((place) => ({ command, room, place })));

describe.each(houseKinds)('bad days of the saga [$mode, $driver]', (kind: HouseKind) => {
  let house: House;
  beforeAll(async () => {
    house = await House.start(kind);
  });
  afterAll(() => house?.stop());

  test.each(points)(
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

  test.each(points.filter(({ place }) => place !== 'after-commit'))(
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

  test.each(points.filter(({ command, place }) => place !== 'after-commit' && command !== 'drain-machines'))(
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

function attemptedDrain(deployment: Deployment): boolean {
  const step = deployment.steps.find(({ name }) => name === 'drain-replaced');
  return step?.state === 'running' && Date.now() - Date.parse(step.startedAt ?? '') > 300;
}

/** Exactly one program runs, it is the right one, and it answers by path and by hostname. */
async function expectOneMachineOf(house: House, name: string, version: string): Promise<void> {
  const machines = await eventually(async () => {
    const running = await runningMachinesOf(name);
    const known = (await house.client.listMachines({ function: name })).items.filter(
      (machine) => machine.state === 'running',
    );
    return running.length === 1 && known.length === 1 && known[0]?.id === running[0] && known;
  });
  for (const answer of [
    await house.call(`/function/${name}`),
    await house.call('/', { host: `${name}.localhost` }),
  ]) {
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ version, machine: machines[0]?.id });
  }
  const routes = (await house.client.listRoutes()).items.filter((route) => route.function === name);
  expect(routes).toHaveLength(1);
}
