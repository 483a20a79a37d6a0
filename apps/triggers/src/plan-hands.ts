import type { RouteEntry } from '#contracts';

import type { Source } from './deliver-events.ts';

/** Messages held at a time by one process, however many machines there are. */
const most = 1024;

/**
 * How many events of a consumer may be with a function at a time. At least one while no machine is ready: it is what wakes the
 * function.
 */
export function handsFor(
  { consumer }: Pick<Source, 'consumer'>,
  route: Pick<RouteEntry, 'concurrency' | 'scale'>,
  ready: number,
  perMachine: number,
): number {
  const { trigger } = consumer;
  // By a staircase only the number that waits brings machines, and a single event none.
  if (ready === 0 && trigger && route.scale.metric === 'steps') return 0;
  const inBatch = trigger && trigger.kind !== 'schedule' ? (trigger.batch?.size ?? 1) : 1;
  // In order means one after the other: which key comes next is known only when it is there.
  if (trigger && trigger.kind !== 'schedule' && trigger.orderBy) return inBatch;
  const each = route.concurrency > 0 ? route.concurrency : perMachine;
  return Math.min(most, Math.max(1, ready) * each) * inBatch;
}
