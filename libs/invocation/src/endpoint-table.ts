import type { Endpoint, RouteEntry } from '#contracts';

/** One machine as a caller sees it. */
export interface Slot {
  readonly key: string;
  readonly machine: string;
  endpoint: Endpoint;
  /** Calls in flight from this process. */
  calls: number;
  /** Left alone until this time (ms), because it did not take a connection. */
  avoidUntil: number;
}

/** A function that can be called: its route and its machines. Lives on while it has either. */
export class Target {
  readonly key: string;
  route: RouteEntry | null = null;
  readonly slots = new Map<string, Slot>();
  private readonly waiting = new Set<() => void>();

  constructor(key: string) {
    this.key = key;
  }

  /** Calls `wake` once, at the next change of the route or a machine. */
  onceChanged(wake: () => void): () => void {
    this.waiting.add(wake);
    return () => this.waiting.delete(wake);
  }

  changed(): void {
    const woken = [...this.waiting];
    this.waiting.clear();
    for (const wake of woken) wake();
  }
}

/**
 * Who can be called, and how much work each has; in memory, fed from outside.
 * A machine that left the table is remembered until its last call ended, so that whoever drains it sees that call.
 */
export class EndpointTable {
  private readonly targets = new Map<string, Target>();
  private readonly hosts = new Map<string, Target>();
  private readonly leaving = new Map<string, Slot>();
  private readonly onRetired: (slot: Slot) => void;

  /** `onRetired` runs when a machine is gone and its last call has ended. */
  constructor(onRetired: (slot: Slot) => void = () => {}) {
    this.onRetired = onRetired;
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

  /** `key` is `<project>.<function>.<machine>`. */
  setEndpoint(key: string, endpoint: Endpoint | null): void {
    const cut = key.lastIndexOf('.');
    const target = this.targetOf(key.slice(0, cut));
    const machine = key.slice(cut + 1);
    const slot = target.slots.get(machine);
    if (slot && slot.endpoint.address !== endpoint?.address) {
      target.slots.delete(machine);
      this.retire(slot);
    }
    if (endpoint) {
      const kept = target.slots.get(machine);
      if (kept) {
        kept.endpoint = endpoint;
        kept.avoidUntil = 0;
      } else target.slots.set(machine, { key, machine, endpoint, calls: 0, avoidUntil: 0 });
    }
    this.settle(target);
  }

  /** What this process has in flight at a machine, and whether it may still send more there. */
  inFlight(key: string): { calls: number; open: boolean } {
    const slot = this.targets
      .get(key.slice(0, key.lastIndexOf('.')))
      ?.slots.get(key.slice(key.lastIndexOf('.') + 1));
    const calls = (slot?.calls ?? 0) + (this.leaving.get(key)?.calls ?? 0);
    return { calls, open: slot?.endpoint.state === 'ready' };
  }

  begin(slot: Slot): void {
    slot.calls++;
  }

  end(target: Target, slot: Slot): void {
    slot.calls--;
    if (slot.calls === 0 && this.leaving.get(slot.key) === slot) {
      this.leaving.delete(slot.key);
      this.onRetired(slot);
    }
    if (slot.endpoint.concurrency > 0) target.changed();
  }

  private retire(slot: Slot): void {
    if (slot.calls === 0) this.onRetired(slot);
    else this.leaving.set(slot.key, slot);
  }

  private targetOf(key: string): Target {
    let target = this.targets.get(key);
    if (!target) this.targets.set(key, (target = new Target(key)));
    return target;
  }

  private settle(target: Target): void {
    if (!target.route && target.slots.size === 0) this.targets.delete(target.key);
    target.changed();
  }
}
