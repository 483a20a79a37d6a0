import type { Endpoint, RouteEntry } from '#contracts';

/** Which functions there are, how they want to be scaled, and how many machines of each revision can be called; fed from the buckets. */
export class FunctionTable {
  readonly routes = new Map<string, RouteEntry>();
  readonly #machines = new Map<string, Map<string, Endpoint>>();

  /** `key` is `<project>.<function>`. */
  setRoute(key: string, route: RouteEntry | null): void {
    if (route) this.routes.set(key, route);
    else this.routes.delete(key);
  }

  /** `key` is `<project>.<function>.<machine>`. */
  setEndpoint(key: string, endpoint: Endpoint | null): void {
    const cut = key.lastIndexOf('.');
    const [name, machine] = [key.slice(0, cut), key.slice(cut + 1)];
    const machines = this.#machines.get(name) ?? new Map<string, Endpoint>();
    if (endpoint) machines.set(machine, endpoint);
    else machines.delete(machine);
    if (machines.size > 0) this.#machines.set(name, machines);
    else this.#machines.delete(name);
  }

  running(key: string, revision: string): number {
    let count = 0;
    for (const endpoint of this.#machines.get(key)?.values() ?? [])
      if (endpoint.revision === revision && endpoint.state === 'ready') count++;
    return count;
  }
}
