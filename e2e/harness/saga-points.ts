import { expect } from 'vitest';

import type { Room } from '#contracts';
import { eventually } from '#testing';

import { houseKinds, type House, type HouseKind } from './house.ts';
import { runningMachinesOf } from './look-inside.ts';

/** Each command of the saga and the room that does it. */
const commands: [string, Room][] = [
  ['build-source', 'templates'],
  ['start-machine', 'machines'],
  ['register-route', 'routes'],
  ['subscribe-logs', 'logs'],
  ['set-triggers', 'triggers'],
  ['shift-traffic', 'routes'],
  ['drain-machines', 'machines'],
];
const places = ['before-effect', 'after-effect', 'after-commit'] as const;
const sagaPoints = commands.flatMap(([command, room]) => places.map((place) => ({ command, room, place })));

const full = process.env['CESTX_E2E'] === 'full';

/** The points of the deploy saga to try in a house, of these places; all of them with CESTX_E2E=full. */
export function pointsFor(kind: HouseKind, ...at: (typeof places)[number][]): typeof sagaPoints {
  return byTurns(
    kind,
    sagaPoints.filter(({ place }) => full || at.includes(place)),
  );
}

/**
 * Each point in one of the houses, by turns, since what happens at a point is the same code in all of them; every point in every
 * house with CESTX_E2E=full.
 */
export function byTurns<T>(kind: HouseKind, points: T[]): T[] {
  if (full) return points;
  return points.filter((_, index) => index % houseKinds.length === houseKinds.indexOf(kind));
}

/** Exactly one program runs, it is the right one, and it answers by path and by hostname. */
export async function expectOneMachineOf(house: House, name: string, version: string): Promise<void> {
  // After a stop of the platform it comes back with the first call.
  await eventually(async () => (await house.call(`/function/${name}`)).status === 200);
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
