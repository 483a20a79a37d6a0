import type { MachineRow } from './machine.entity.ts';
import { isDue } from './plan-machines.ts';

/** A machine of the revision that is asked for. */
export type WakeableMachine = Pick<MachineRow, 'id' | 'state' | 'retryAt'> & {
  /** When it last had work; on any clock, as long as it is the same for all. */
  readonly lastUse: number;
  /** Somebody brings it up at this moment. */
  readonly coming: boolean;
};

export type MorePlan =
  | { kind: 'thaw' | 'start'; id: string }
  /** Every machine ended by itself lately, and waits for its next try. */
  | { kind: 'refuse'; id: string }
  | { kind: 'create' };

export type WakePlan =
  | MorePlan
  | { kind: 'use'; id: string }
  /** Somebody brings it up already: its end is ours, too. */
  | { kind: 'join'; id: string }
  /** The command that made it is still at it. */
  | { kind: 'wait'; id: string };

/** The quickest way to a machine that can be called. Among equals the one used last: its caches are the warmest. */
export function planWake(machines: readonly WakeableMachine[], now: number): WakePlan {
  const running = byUse(machines).find(({ state }) => state === 'running');
  if (running) return { kind: 'use', id: running.id };
  const more = planMore(machines, now);
  if (more.kind === 'thaw') return more;
  const coming = machines.find((machine) => machine.coming);
  if (coming) return { kind: 'join', id: coming.id };
  const creating = machines.find(({ state }) => state === 'creating');
  return creating ? { kind: 'wait', id: creating.id } : more;
}

/** One more machine, beside those that run or come up. */
export function planMore(machines: readonly WakeableMachine[], now: number): MorePlan {
  const idle = byUse(machines.filter(({ coming }) => !coming));
  const frozen = idle.find(({ state }) => state === 'frozen');
  if (frozen) return { kind: 'thaw', id: frozen.id };
  const startable = idle.find(
    ({ state, retryAt }) => state === 'stopped' || (state === 'failed' && (!retryAt || isDue(retryAt, now))),
  );
  if (startable) return { kind: 'start', id: startable.id };
  const failed = idle.find(({ state }) => state === 'failed');
  return failed ? { kind: 'refuse', id: failed.id } : { kind: 'create' };
}

function byUse(machines: readonly WakeableMachine[]): WakeableMachine[] {
  return machines.toSorted((one, other) => other.lastUse - one.lastUse);
}
