import { Injectable } from '@nestjs/common';

import { functionKey, MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';
import { RouteTable } from './route-table.ts';

type Aging = Pick<MachineRow, 'id' | 'project' | 'function' | 'createdAt'>;

/**
 * How old machines are, on a clock that only goes on: setting the wall clock makes none older. Only what passed before this
 * process first saw a machine is taken from the wall clock. Who changes the expiry of a function has it counted from then.
 */
@Injectable()
export class MachineAges {
  /** When its age began: on the clock that only goes on, and for people. */
  readonly #begun = new Map<string, { at: number; wall: number }>();
  readonly #expiries = new Map<string, number | undefined>();

  constructor(
    private readonly book: MachineBook,
    private readonly routes: RouteTable,
  ) {
    book.onChange((id, row) => {
      if (row) this.#begin(row);
      else this.#begun.delete(id);
    });
    routes.onScaleChange((key) => {
      const name = functionKey(key);
      const expiry = routes.scaleOf(key)?.expiresAfter;
      const isChange = this.#expiries.has(name) && this.#expiries.get(name) !== expiry;
      this.#expiries.set(name, expiry);
      if (!isChange) return;
      for (const { id } of book.of(key)) this.#begun.set(id, { at: performance.now(), wall: Date.now() });
    });
  }

  /** Milliseconds. */
  ageOf(machine: Aging): number {
    return performance.now() - this.#begin(machine).at;
  }

  /** Null when it does not expire. */
  expiresAt(machine: Aging): Date | null {
    const expiresAfter = this.routes.scaleOf(machine)?.expiresAfter;
    return expiresAfter === undefined ? null : new Date(this.#begin(machine).wall + expiresAfter);
  }

  #begin({ id, createdAt }: Aging): { at: number; wall: number } {
    const wall = createdAt.getTime();
    const begun = this.#begun.get(id) ?? { at: performance.now() - Math.max(0, Date.now() - wall), wall };
    if (this.book.get(id)) this.#begun.set(id, begun);
    return begun;
  }
}
