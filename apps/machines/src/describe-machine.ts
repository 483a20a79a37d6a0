import type { Machine } from '#contracts';

import type { MachineRow } from './machine.entity.ts';

/** A machine as others are told of it. `expiresAfter` is of its function, in milliseconds. */
export function describeMachine(row: MachineRow, expiresAfter: number | undefined): Machine {
  const { id, project, function: name, revision, driver, state, address, createdAt, since, reason } = row;
  return {
    id,
    project,
    function: name,
    revision,
    driver,
    state,
    address: state === 'running' ? address : null,
    createdAt: createdAt.toISOString(),
    since: since.toISOString(),
    reason,
    expiresAt: expiresAfter === undefined ? null : new Date(createdAt.getTime() + expiresAfter).toISOString(),
  };
}
