import type { Endpoint, RouteEntry } from '#contracts';

import { Target, type Slot } from './target.ts';

export interface TableListener {
  /** A machine is gone and its last call has ended. */
  retired?(slot: Slot): void;
  /** A machine takes no more calls; those in flight may end. */
  closing?(target: Target, slot: Slot): void;
  /** Something changed for a function that calls are held for. */
  changed?(target: Target): void;
}

/** How long (ms) the answer to a wake counts against what the bucket says; the bucket follows it within milliseconds. */
const vouchFor = 2_000;

/**
 * Who can be called, and how much work each has; in memory, fed from outside.
 * 1. A machine that left the table is remembered until its last call ended, so that whoever drains it sees that call.
 * 2. The answer to a wake is newer than any change of the bucket that was on its way: until the bucket says `ready` too, at most
 *    `vouchFor`, a removal or a drain is noted and not followed. After that the last word of the bucket counts, whatever it is.
 */
export class EndpointTable {
  private readonly targets = new Map<string, Target>();
  private readonly hosts = new Map<string, Target>();
  private readonly vouched = new Map<Slot, Target>();
  private readonly working = new Set<Target>();
  private readonly listener: TableListener;

  constructor(listener: TableListener = {}) {
    this.listener = listener;
  }

  get serviceCount(): number {
    return this.hosts.size;
  }

  byHost(host: string): Target | undefined {
    return this.hosts.get(host);
  }

  byName(project: string, functionName: string): Target | undefined {
    const target = this.targets.get(`${project}.${functionName}`);
    return target?.route ? target : undefined;
  }

  /** `key` is `<project>.<function>`. */
  setRoute(key: string, route: RouteEntry | null): void {
    const target = this.targetOf(key);
    if (target.route && target.route.host !== route?.host && this.hosts.get(target.route.host) === target) {
      this.hosts.delete(target.route.host);
    }
    target.route = route;
    if (route) this.hosts.set(route.host, target);
    this.settle(target);
  }

  /** What the bucket says of a machine. `key` is `<project>.<function>.<machine>`. */
  setEndpoint(key: string, endpoint: Endpoint | null): void {
    const target = this.targetOf(functionOf(key));
    const slot = target.slots.get(machineOf(key));
    if (slot && slot.vouchedUntil > 0 && endpoint?.state !== 'ready') slot.said = endpoint;
    else this.place(target, key, endpoint);
    this.settle(target);
  }

  /** What the machines room answered to a wake, ahead of the bucket. */
  setWoken(target: Target, endpoint: Endpoint, now: number): void {
    const slot = target.slots.get(endpoint.machine);
    const known = slot?.endpoint.state === 'ready' && slot.endpoint.address === endpoint.address;
    if (known || this.targets.get(target.key) !== target) return;
    const placed = this.place(target, `${target.key}.${endpoint.machine}`, endpoint);
    if (placed) {
      placed.vouchedUntil = now + vouchFor;
      this.vouched.set(placed, target);
    }
    this.settle(target);
  }

  /** Ends the time of answers the bucket did not confirm. To be called every now and then. */
  expireVouched(now: number): void {
    for (const [slot, target] of this.vouched) {
      if (slot.vouchedUntil > now) continue;
      this.place(target, slot.key, slot.said ?? null);
      this.settle(target);
    }
  }

  /** What this process has in flight at a machine, and whether it may still send more there. */
  inFlight(key: string): { calls: number; open: boolean } {
    const target = this.targets.get(functionOf(key));
    const slot = target?.slots.get(machineOf(key));
    let calls = slot?.calls ?? 0;
    for (const left of target?.leaving ?? []) if (left.key === key) calls += left.calls;
    return { calls, open: slot?.endpoint.state === 'ready' };
  }

  /** Functions with work since the last time this was asked. */
  *takeWorking(): Generator<Target> {
    for (const target of this.working) {
      yield target;
      if (target.load.current === 0) this.working.delete(target);
    }
  }

  /** A call is held (+1) or not any more (-1). */
  countHeld(target: Target, by: 1 | -1): void {
    target.load.change(by, performance.now());
    this.working.add(target);
  }

  begin(target: Target, slot: Slot): void {
    slot.calls++;
    slot.begun++;
    target.load.change(1, performance.now());
    this.working.add(target);
  }

  end(target: Target, slot: Slot): void {
    slot.calls--;
    target.load.change(-1, performance.now());
    if (slot.calls === 0 && target.leaving.delete(slot)) {
      this.listener.retired?.(slot);
      this.forgetIfEmpty(target);
    }
    if (target.held.size > 0) this.listener.changed?.(target);
  }

  private place(target: Target, key: string, endpoint: Endpoint | null): Slot | null {
    const machine = machineOf(key);
    let slot = target.slots.get(machine);
    if (slot) {
      slot.vouchedUntil = 0;
      slot.said = undefined;
      this.vouched.delete(slot);
      if (slot.endpoint.address !== endpoint?.address) {
        target.slots.delete(machine);
        this.retire(target, slot);
        slot = undefined;
      }
    }
    if (!endpoint) return null;
    if (slot) {
      const closes = slot.endpoint.state === 'ready' && endpoint.state !== 'ready';
      slot.endpoint = endpoint;
      slot.avoidUntil = 0;
      if (closes) this.listener.closing?.(target, slot);
      return slot;
    }
    slot = {
      key,
      machine,
      endpoint,
      calls: 0,
      begun: 0,
      avoidUntil: 0,
      vouchedUntil: 0,
      said: undefined,
      lasting: null,
    };
    target.slots.set(machine, slot);
    return slot;
  }

  private retire(target: Target, slot: Slot): void {
    if (slot.calls === 0) return this.listener.retired?.(slot);
    target.leaving.add(slot);
    if (slot.endpoint.state === 'ready') this.listener.closing?.(target, slot);
  }

  private targetOf(key: string): Target {
    let target = this.targets.get(key);
    if (!target) this.targets.set(key, (target = new Target(key)));
    return target;
  }

  private settle(target: Target): void {
    this.forgetIfEmpty(target);
    if (target.held.size > 0) this.listener.changed?.(target);
  }

  private forgetIfEmpty(target: Target): void {
    const empty = !target.route && target.slots.size === 0 && target.leaving.size === 0;
    if (empty && this.targets.get(target.key) === target) this.targets.delete(target.key);
  }
}

function functionOf(key: string): string {
  return key.slice(0, key.lastIndexOf('.'));
}

function machineOf(key: string): string {
  return key.slice(key.lastIndexOf('.') + 1);
}
