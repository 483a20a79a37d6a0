import type { Traffic } from '#contracts';

import type { Slot } from './endpoint-table.ts';

/** `full`: machines are ready, but each is at its limit. `none`: no machine is ready. */
export type Choice = Slot | 'full' | 'none';

/**
 * Chooses a revision by its share of the traffic, then its ready machine with the least work in flight.
 * A revision without a free machine gives its share to the others. `random` is in [0, 1).
 */
export function pickSlot(
  slots: ReadonlyMap<string, Slot>,
  traffic: Traffic,
  now: number,
  random: () => number = Math.random,
): Choice {
  let full = false;
  let chosen: Slot | undefined;
  let total = 0;
  for (const share of traffic) {
    if (share.percent <= 0) continue;
    let best: Slot | undefined;
    let ties = 1;
    for (const slot of slots.values()) {
      const { endpoint } = slot;
      if (endpoint.revision !== share.revision || endpoint.state !== 'ready' || slot.avoidUntil > now)
        continue;
      if (endpoint.concurrency > 0 && slot.calls >= endpoint.concurrency) full = true;
      else if (!best || slot.calls < best.calls) {
        best = slot;
        ties = 1;
      } else if (slot.calls === best.calls && random() * ++ties < 1) best = slot;
    }
    if (!best) continue;
    total += share.percent;
    // Weighted choice in one pass: each candidate replaces the former with the chance of its share so far.
    if (!chosen || random() * total < share.percent) chosen = best;
  }
  return chosen ?? (full ? 'full' : 'none');
}
