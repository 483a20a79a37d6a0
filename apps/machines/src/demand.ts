import { Injectable } from '@nestjs/common';

import { ActivityBook } from './activity-book.ts';
import { revisionKey, type RevisionKey } from './machine-book.ts';
import { RouteTable } from './route-table.ts';

/** How many machines of each revision are to run, by what its function says, what was ordered, and whether it is called. */
@Injectable()
export class Demand {
  /** The last order for a revision; kept in memory only, as the load it answered is over after a restart. */
  readonly #ordered = new Map<string, number>();

  constructor(
    private readonly routes: RouteTable,
    private readonly activity: ActivityBook,
  ) {}

  order(key: RevisionKey, machines: number): void {
    this.#ordered.set(revisionKey(key), machines);
  }

  /** What runs whether or not it is called. */
  least(key: RevisionKey): number {
    return this.routes.isReferenced(key) ? (this.routes.scaleOf(key)?.min ?? 0) : 0;
  }

  /** How many are to run now; Infinity for a function without a route: nobody said that it may rest. `now` is monotonic. */
  wanted(key: RevisionKey, now: number): number {
    const scale = this.routes.scaleOf(key);
    if (!scale) return Infinity;
    const isActive = now - this.activity.lastActive(key) < scale.freezeAfter;
    const ordered = isActive ? Math.max(1, this.#ordered.get(revisionKey(key)) ?? 0) : 0;
    return Math.max(this.least(key), ordered);
  }

  forget(key: RevisionKey): void {
    this.#ordered.delete(revisionKey(key));
  }
}
