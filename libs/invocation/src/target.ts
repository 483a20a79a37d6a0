import type { CestxError, Endpoint, RouteEntry } from '#contracts';

import type { CallTrace } from './call-trace.ts';
import { LoadMeter } from './load-meter.ts';

/** One machine as a caller sees it. */
export interface Slot {
  readonly key: string;
  readonly machine: string;
  endpoint: Endpoint;
  /** Calls in flight from this process. */
  calls: number;
  /** Calls that began since the last report. */
  begun: number;
  /** Left alone until this time (ms), because it did not take a connection. */
  avoidUntil: number;
  /** Known from the answer to a wake only until this time (ms); 0 once the bucket has said the same. */
  vouchedUntil: number;
  /** What the bucket said while the answer was vouched for: undefined is nothing, null that the machine is gone. */
  said: Endpoint | null | undefined;
  /** Ends of what has no end of its own (WebSocket, event streams) at this machine; made when first needed. */
  lasting: Set<() => void> | null;
}

/** A call that waits for a machine. */
export interface HeldCall {
  readonly trace: CallTrace;
  /** Waits no longer than this time (ms); 0 before it is held for the first time. */
  holdUntil: number;
  /** Why it has no machine, when the reason is its own and not that none is ready. */
  readonly reason: CestxError | null;
  take(slot: Slot): void;
  refuse(error: CestxError): void;
}

/** A function that can be called: its route and its machines. Lives on while it has either. */
export class Target {
  readonly key: string;
  route: RouteEntry | null = null;
  readonly slots = new Map<string, Slot>();
  /** Machines that left while calls to them were in flight. */
  readonly leaving = new Set<Slot>();
  /** Calls in flight and held. */
  readonly load = new LoadMeter();
  /** Calls that wait for a machine, in the order they came, and what ends the waiting of each. */
  readonly held = new Map<HeldCall, NodeJS.Timeout>();
  /** What the last wake found; null while one is under way. */
  wokenFrom: string | null = null;

  constructor(key: string) {
    this.key = key;
  }

  countReady(): number {
    let ready = 0;
    for (const { endpoint } of this.slots.values()) if (endpoint.state === 'ready') ready++;
    return ready;
  }
}
