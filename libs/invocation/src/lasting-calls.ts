import type { Slot, Target } from './target.ts';

/** For a function whose route is gone. */
const withoutRoute = 30_000;

/**
 * Notes a call that has no end of its own (WebSocket, event stream); `end` closes it. Returns how to forget it.
 * Once its machine takes no more calls it is left the function's `timeout`, like every other call, and is closed then:
 * an idle connection must not keep an old revision alive.
 */
export function noteLasting(target: Target, slot: Slot, end: () => void): () => void {
  const lasting = (slot.lasting ??= new Set());
  lasting.add(end);
  if (!isOpen(target, slot)) endLasting(target, slot);
  return () => lasting.delete(end);
}

/** To be called when a machine stops taking calls. */
export function endLasting(target: Target, slot: Slot): void {
  const endNow = () => {
    if (!isOpen(target, slot)) for (const end of slot.lasting ?? []) end();
  };
  setTimeout(endNow, target.route?.timeout ?? withoutRoute).unref();
}

function isOpen(target: Target, slot: Slot): boolean {
  return slot.endpoint.state === 'ready' && target.slots.get(slot.machine) === slot;
}
