/** What the zone has at a name: the difference between `empty` and `absent` is the one between NODATA and NXDOMAIN. */
export type Place = 'apex' | 'address' | 'empty' | 'absent' | 'outside';

/**
 * The names of our zone, held in memory.
 *
 * Every route host has an address. A name between a host and the apex (a project) exists without records of its own;
 * RFC 8020 wants "no such name" only where nothing lies beneath either.
 */
export class ZoneTable {
  readonly origin: string;
  readonly nameserver: string;
  #hosts = new Set<string>();
  #between = new Set<string>();
  #serial: number;

  constructor(
    origin: string,
    readonly address: { v4: string; v6: string | null },
    /** Seconds an answer, or the absence of one, may be kept by others. */
    readonly ttl: number,
    private readonly now: () => number = Date.now,
  ) {
    this.origin = origin.toLowerCase();
    this.nameserver = `ns.${this.origin}`;
    this.#serial = this.#clock();
  }

  /** Grows with every change, also over a restart, as RFC 1982 wants from a serial. */
  get serial(): number {
    return this.#serial;
  }

  get size(): number {
    return this.#hosts.size;
  }

  /** Makes these the zone's hosts. Hosts of another zone (an earlier domain) are left out: we have no say about them. */
  replace(hosts: Iterable<string>): void {
    const next = new Set<string>();
    const between = new Set<string>();
    for (const host of hosts) {
      const name = host.toLowerCase();
      if (!name.endsWith(`.${this.origin}`)) continue;
      next.add(name);
      for (let parent = parentOf(name); parent !== this.origin; parent = parentOf(parent))
        between.add(parent);
    }
    const changed = next.size !== this.#hosts.size || [...next].some((name) => !this.#hosts.has(name));
    this.#hosts = next;
    this.#between = between;
    if (changed) this.#serial = Math.max(this.#serial + 1, this.#clock());
  }

  /** `name` in lower case. */
  placeOf(name: string): Place {
    if (name === this.origin) return 'apex';
    if (!name.endsWith(`.${this.origin}`)) return 'outside';
    if (name === this.nameserver || this.#hosts.has(name)) return 'address';
    return this.#between.has(name) ? 'empty' : 'absent';
  }

  #clock(): number {
    return Math.floor(this.now() / 1000);
  }
}

function parentOf(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}
