import type { Machine } from '#contracts';

import type { MachineRow } from './machine.entity.ts';

/** A machine as others are told of it. */
export function describeMachine(row: MachineRow, expiresAt: Date | null): Machine {
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
    expiresAt: expiresAt?.toISOString() ?? null,
  };
}
