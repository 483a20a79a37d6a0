import { CestxError } from '#contracts';

import type { CallTrace } from './call-trace.ts';
import type { EndpointTable } from './endpoint-table.ts';
import { pickSlot } from './pick-slot.ts';
import type { HeldCall, Target } from './target.ts';

export interface HoldLimits {
  /** Milliseconds a call waits for a machine. */
  readonly holdFor: number;
  /** Calls that may wait at a time, of all functions together; those of one function take no more places than they leave free. */
  readonly maxHeld: number;
}

/** Calls that wait for a machine of their function, served in the order they came; bounded in number and in time. */
export class HeldCalls {
  private readonly table: EndpointTable;
  private readonly limits: HoldLimits;
  private readonly wake: (target: Target, trace: CallTrace) => void;
  private readonly retries = new Map<Target, NodeJS.Timeout>();
  private count = 0;

  constructor(table: EndpointTable, limits: HoldLimits, wake: (target: Target, trace: CallTrace) => void) {
    this.table = table;
    this.limits = limits;
    this.wake = wake;
  }

  get current(): number {
    return this.count;
  }

  /** `choice` says why it has to wait. The call is told when there is a machine for it, or that there will be none. */
  hold(target: Target, held: HeldCall, choice: 'full' | 'none'): void {
    const { route } = target;
    if (!route) return held.refuse(functionRemoved());
    const now = Date.now();
    held.holdUntil ||= now + this.limits.holdFor;
    const hopeless = choice === 'full' && target.countReady() >= route.scale.max;
    if (hopeless || held.holdUntil <= now) return held.refuse(this.refusal(target, held, choice));
    // Leaves as many places free as it takes itself, so that one function cannot use up those of all others.
    if (target.held.size >= this.limits.maxHeld - this.count) {
      const code = choice === 'full' ? 'busy' : 'unavailable';
      return held.refuse(new CestxError(code, 'Too many calls wait for a machine already.'));
    }
    this.count++;
    this.table.countHeld(target, 1);
    const expire = () => {
      this.forget(target, held);
      held.refuse(this.refusal(target, held, this.choose(target)));
    };
    target.held.set(held, setTimeout(expire, held.holdUntil - now));
    held.trace.waiting(choice === 'full' ? 'every machine is at its limit' : 'no machine is ready');
    if (choice === 'none') this.needMachine(target);
  }

  /** The call waits no longer, because it has a machine or its caller left. */
  forget(target: Target, held: HeldCall): void {
    const timer = target.held.get(held);
    if (!timer) return;
    clearTimeout(timer);
    target.held.delete(held);
    this.count--;
    this.table.countHeld(target, -1);
    held.trace.waited(target.wokenFrom);
    if (target.held.size > 0) return;
    clearTimeout(this.retries.get(target));
    this.retries.delete(target);
  }

  /** Gives machines to as many calls as there is room for. */
  serve(target: Target): void {
    for (const held of target.held.keys()) {
      if (!target.route) {
        this.forget(target, held);
        held.refuse(functionRemoved());
        continue;
      }
      const choice = this.choose(target);
      if (choice === 'full') return;
      if (choice === 'none') return this.needMachine(target);
      this.forget(target, held);
      held.take(choice);
    }
  }

  /** No machine will come for those that wait now. */
  refuseAll(target: Target, error: CestxError): void {
    for (const held of target.held.keys()) {
      this.forget(target, held);
      held.refuse(error);
    }
  }

  choose(target: Target) {
    return target.route ? pickSlot(target.slots, target.route.traffic, Date.now()) : 'none';
  }

  private needMachine(target: Target): void {
    const now = Date.now();
    let again = Infinity;
    for (const { avoidUntil } of target.slots.values()) {
      if (avoidUntil > now) again = Math.min(again, avoidUntil + 1);
    }
    // A machine that is passed over for a while is tried again by itself.
    if (again < Infinity && !this.retries.has(target)) {
      const retry = () => {
        this.retries.delete(target);
        this.serve(target);
      };
      this.retries.set(target, setTimeout(retry, again - now));
    }
    const [first] = target.held.keys();
    if (first) this.wake(target, first.trace);
  }

  private refusal(target: Target, held: HeldCall, choice: unknown): CestxError {
    const name = target.route?.function ?? 'the function';
    if (choice === 'full') {
      return new CestxError('busy', `Every machine of ${name} is at its concurrency limit.`);
    }
    return held.reason ?? new CestxError('unavailable', `No machine of ${name} was ready in time.`);
  }
}

function functionRemoved(): CestxError {
  return new CestxError('not-found', 'The function was removed.');
}
