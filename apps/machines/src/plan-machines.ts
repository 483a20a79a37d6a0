import type { MachineExit, SeenMachine } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';

/** A machine that should be, or (`removed`) should be no more. */
export type WantedMachine = Pick<MachineRow, 'id' | 'state' | 'address' | 'retryAt'> & {
  readonly removed: boolean;
};

export type MachineAction =
  /** It runs as it should: see that its lines are read. */
  | { kind: 'follow'; id: string }
  /** It runs, but not where the callers were told, or though its row says that it is frozen. */
  | { kind: 'move'; id: string; address: string }
  | { kind: 'thaw'; id: string }
  | { kind: 'note-exit'; id: string; exit: MachineExit | null }
  /** It was frozen, and is gone. */
  | { kind: 'note-stopped'; id: string }
  /** It is to rest, and runs: a start or a stop was cut off. */
  | { kind: 'stop'; id: string }
  /** It may be started again, if somebody needs it. */
  | { kind: 'start'; id: string }
  /** Nobody wants it: a stranger, or one whose removal was cut off. */
  | { kind: 'remove'; id: string };

/**
 * Compares what should be with what is. `seen` must have been read before `wanted`, so that a machine made in between is not
 * taken for a stranger: its row is older than itself.
 */
export function planMachines(
  wanted: readonly WantedMachine[],
  seen: readonly SeenMachine[],
  now: number,
): MachineAction[] {
  const there = new Map(seen.map((machine) => [machine.id, machine]));
  const known = new Set(wanted.map(({ id }) => id));
  const strangers = seen.filter(({ id }) => !known.has(id));
  return [
    ...strangers.map(({ id }): MachineAction => ({ kind: 'remove', id })),
    ...wanted
      .map((machine) => planOne(machine, there.get(machine.id), now))
      .filter((action) => action !== null),
  ];
}

function planOne(machine: WantedMachine, seen: SeenMachine | undefined, now: number): MachineAction | null {
  const { id } = machine;
  if (machine.removed) return { kind: 'remove', id };
  switch (machine.state) {
    case 'running':
      if (seen?.state === 'frozen') return { kind: 'thaw', id };
      if (seen?.state !== 'running') return { kind: 'note-exit', id, exit: seen?.exit ?? null };
      return seen.address && seen.address !== machine.address
        ? { kind: 'move', id, address: seen.address }
        : { kind: 'follow', id };
    case 'frozen':
      if (seen?.state === 'frozen') return null;
      return seen?.state === 'running' && seen.address
        ? { kind: 'move', id, address: seen.address }
        : { kind: 'note-stopped', id };
    case 'stopped':
    case 'failed':
      if (seen?.state === 'running' || seen?.state === 'frozen') return { kind: 'stop', id };
      // Without a time it rests until somebody calls it.
      return machine.retryAt && isDue(machine.retryAt, now) ? { kind: 'start', id } : null;
    default:
      // `creating` is the business of the command, which comes again when it was cut off.
      return null;
  }
}

/** A machine that ran this long before it exited is not in a crash loop. */
export const soundAfterMs = 60_000;
const maxBackoffMs = 60_000;

/** A time further away than any wait was set before the clock was. */
export function isDue(retryAt: Date, now: number): boolean {
  const wait = retryAt.getTime() - now;
  return wait <= 0 || wait > maxBackoffMs;
}

/** Exits in a row so far, this one included. */
export function countExits(before: number, runningSince: Date | null, now: number): number {
  const sound = runningSince !== null && now - runningSince.getTime() >= soundAfterMs;
  return sound ? 1 : before + 1;
}

/** Milliseconds to wait before a start, after so many exits in a row: none at first, then doubling from half a second. */
export function backoffAfter(exits: number): number {
  return exits <= 1 ? 0 : Math.min(maxBackoffMs, 500 * 2 ** (exits - 2));
}
