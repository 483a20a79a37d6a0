import type { ScaleSettings } from '#contracts';

import type { MachineRow } from './machine.entity.ts';

export type RestingMachine = Pick<MachineRow, 'id' | 'state'> & {
  /** Milliseconds since it last had work, was woken, or its settings changed. */
  readonly idle: number;
};

export interface RestAction {
  readonly id: string;
  /** The state it is in; in any other it is not for this action. */
  readonly from: MachineRow['state'];
  readonly to: 'frozen' | 'stopped' | 'removed';
}

type Tiers = Pick<ScaleSettings, 'freezeAfter' | 'stopAfter' | 'removeAfter'>;

/**
 * Which machines of one revision are to rest one tier deeper. All times count from the last call, so a machine that is
 * frozen late is stopped no later for it. Of those that run, `wanted` stay up; the one unused for longest goes first.
 */
export function planRest(machines: readonly RestingMachine[], tiers: Tiers, wanted: number): RestAction[] {
  const running = machines.filter(({ state }) => state === 'running').toSorted((a, b) => b.idle - a.idle);
  const surplus = new Set(running.slice(0, Math.max(0, running.length - wanted)));
  const actions: RestAction[] = [];
  for (const machine of machines) {
    const { id, state: from, idle } = machine;
    const to = nextTier(machine, tiers);
    if (to && (from !== 'running' || surplus.has(machine)) && idle >= tiers[afterOf[to]])
      actions.push({ id, from, to });
  }
  return actions;
}

const afterOf = { frozen: 'freezeAfter', stopped: 'stopAfter', removed: 'removeAfter' } as const;

function nextTier({ state, idle }: RestingMachine, { stopAfter }: Tiers): RestAction['to'] | null {
  // A function may be stopped sooner than it would be frozen.
  if (state === 'running') return idle >= stopAfter ? 'stopped' : 'frozen';
  if (state === 'frozen') return 'stopped';
  return state === 'stopped' || state === 'failed' ? 'removed' : null;
}
