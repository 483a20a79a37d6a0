import type { Traffic } from '#contracts';

import type { Slot } from './target.ts';

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

/** A revision by its share of the traffic, leaving out `without`; null when none is left. `random` is in [0, 1). */
export function chooseRevision(
  traffic: Traffic,
  without: ReadonlySet<string>,
  random: () => number = Math.random,
): string | null {
  let chosen: string | null = null;
  let total = 0;
  for (const { revision, percent } of traffic) {
    if (percent <= 0 || without.has(revision)) continue;
    total += percent;
    if (random() * total < percent) chosen = revision;
  }
  return chosen;
}
