/** The last order for a revision, as far as it is known how it ended. */
export interface Order {
  wanted: number;
  sentAt: number;
  /** Null while it is under way, or when its end was not heard. */
  endedAt: number | null;
  /** How many there were in the end; null when the order failed. */
  reached: number | null;
  /** Orders in a row that did not bring what was wanted. */
  misses: number;
}

/** After this an order whose end was not heard counts as lost: longer than a machine may take to start. */
const orderPatience = 60_000;
/** A smaller number waits this long for a larger one that is still being carried out. */
const settleMs = 15_000;
const longestPause = 60_000;

/**
 * Whether `wanted` has to be ordered now: `new` is a decision, `again` repeats one that did not bring what was wanted.
 * The same state never asks twice.
 */
export function planOrder(
  order: Order | null,
  wanted: number,
  running: number,
  now: number,
): 'none' | 'new' | 'again' {
  if (wanted === running) return 'none';
  if (!order) return 'new';
  const underWay = order.endedAt === null && now - order.sentAt < orderPatience;
  if (underWay) {
    if (wanted === order.wanted) return 'none';
    return wanted > order.wanted || now - order.sentAt >= settleMs ? 'new' : 'none';
  }
  const missed = order.reached === null || order.reached < order.wanted;
  const isWaitedFor = missed && wanted > (order.reached ?? running);
  if (wanted !== order.wanted && !isWaitedFor) return 'new';
  const pause = Math.min(1000 * 2 ** order.misses, longestPause);
  if (now - (order.endedAt ?? order.sentAt) < pause) return 'none';
  return wanted === order.wanted ? 'again' : 'new';
}

/** Nothing more is to come of it. The end of an order is heard live, so it may be missed. */
export function isSettled(order: Order, now: number): boolean {
  return order.endedAt !== null || now - order.sentAt > settleMs;
}
