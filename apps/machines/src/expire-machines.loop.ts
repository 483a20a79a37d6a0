import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';

import { ActivityBook } from './activity-book.ts';
import { FunctionWaker } from './function-waker.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook } from './machine-book.ts';
import { MachineRest } from './machine-rest.ts';
import { MachineRunner } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { planExpiry } from './plan-expiry.ts';
import { RouteTable } from './route-table.ts';
import { untraced } from './trace-driver.ts';

const everyMs = 1000;
/** What a call may take in a function whose route is not known, in milliseconds. */
const callTimeoutMs = 30_000;

/** Ends machines that got as old as their function lets them; calls in flight are waited for, however old it gets meanwhile. */
@Injectable()
export class ExpireMachinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #ending = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly book: MachineBook,
    private readonly routes: RouteTable,
    private readonly ages: MachineAges,
    private readonly activity: ActivityBook,
    private readonly waker: FunctionWaker,
    private readonly rest: MachineRest,
    private readonly runner: MachineRunner,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => untraced(() => this.#look()), everyMs);
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await Promise.all(this.#ending.values());
  }

  /** Whatever somebody is at is looked at the next time: it may be on its way up, or to rest. */
  #look(): void {
    for (const row of this.book.all()) {
      if (this.#ending.has(row.id) || this.runner.isBusy(row.id) || this.book.isLeaving(row.id)) continue;
      const plan = row.state === 'creating' ? 'keep' : this.#plan(row);
      if (plan === 'keep') continue;
      const ending = this.#end(row, plan)
        .catch((error: unknown) =>
          this.logger.warn({ err: error, machine: row.id }, 'a machine that expired could not be ended yet'),
        )
        .finally(() => this.#ending.delete(row.id));
      this.#ending.set(row.id, ending);
    }
  }

  #plan(row: MachineRow): ReturnType<typeof planExpiry> {
    const scale = this.routes.scaleOf(row);
    if (!scale || scale.expiresAfter === undefined) return 'keep';
    const { expiresAfter, min, freezeAfter } = scale;
    const isCalled = performance.now() - this.activity.lastActive(row) < freezeAfter;
    const { up } = this.waker.upOrComing(row);
    return planExpiry({
      running: row.state === 'running',
      age: this.ages.ageOf(row),
      expiresAfter,
      needed: this.routes.isReferenced(row) ? Math.max(min, isCalled ? 1 : 0) : 0,
      // Of several that expire together all but the youngest just go, so that a full project can renew itself.
      younger: up.filter((other) => isYounger(other, row)).length,
    });
  }

  /** Of its revision, those that are as old as they may get. */
  #expired(row: MachineRow): MachineRow[] {
    const expiresAfter = this.routes.scaleOf(row)?.expiresAfter ?? Infinity;
    return this.book.ofRevision(row).filter((one) => this.ages.ageOf(one) >= expiresAfter);
  }

  async #end(row: MachineRow, plan: 'replace' | 'end'): Promise<void> {
    if (plan === 'replace') {
      // One that rests and has expired, too, would be woken in its place.
      if (this.#expired(row).some(({ state }) => state !== 'running')) return;
      await this.waker.wakeAnother(row);
    }
    const patienceMs = this.routes.timeoutOf(row) ?? callTimeoutMs;
    // Called again in the meantime, or for longer than that: the next look tries once more.
    if (
      (await this.rest.rest(row.id, 'stopped', 'It expired.', { from: row.state, patienceMs })) === 'in-use'
    )
      return;
    if ((await this.rest.remove(row.id)) === 'in-use') return;
    this.logger.info({ machine: row.id, function: row.function }, 'a machine expired');
  }
}

/** Of two machines never both are. */
function isYounger(one: MachineRow, other: MachineRow): boolean {
  const later = one.createdAt.getTime() - other.createdAt.getTime();
  return later === 0 ? one.id > other.id : later > 0;
}
