import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { activitySchema, activitySubject } from '#contracts';
import { Messenger } from '#messaging';

import { ActivityBook } from './activity-book.ts';
import { Demand } from './demand.ts';
import { FunctionWaker } from './function-waker.ts';
import { functionKey, MachineBook, revisionKey, type RevisionKey } from './machine-book.ts';
import { MachineRest, type Rested } from './machine-rest.ts';
import { MachineRunner } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { planRest, type RestAction } from './plan-rest.ts';
import { RouteTable } from './route-table.ts';
import { untraced } from './trace-driver.ts';

const everyMs = 250;
/** A look that comes this late says that this process stood still, and heard nothing meanwhile. */
const gapMs = 2000;
/** Machines put to rest at a time. */
const maxRests = 16;
/** Milliseconds before a machine that could not be had is tried for again. */
const pauseMs = 5000;

/** Puts machines to rest that nobody calls, and keeps up as many as their function always wants. */
@Injectable()
export class RestMachinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #began = performance.now();
  readonly #scaleChanged = new Map<string, number>();
  readonly #pausedUntil = new Map<string, number>();
  readonly #resting = new Set<string>();
  #stops: (() => unknown)[] = [];
  #lastLook = this.#began;

  constructor(
    private readonly book: MachineBook,
    private readonly routes: RouteTable,
    private readonly activity: ActivityBook,
    private readonly demand: Demand,
    private readonly runner: MachineRunner,
    private readonly rest: MachineRest,
    private readonly waker: FunctionWaker,
    private readonly messenger: Messenger,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const timer = setInterval(() => untraced(() => this.#look(performance.now())), everyMs);
    this.activity.doubt(performance.now());
    this.#stops = [
      () => clearInterval(timer),
      this.messenger.listen(activitySubject(), activitySchema, (report) =>
        this.activity.hear(report, performance.now()),
      ),
      this.book.onChange((id, row) => this.#noteChange(id, row)),
    ];
    this.routes.onScaleChange((key) => this.#scaleChanged.set(functionKey(key), performance.now()));
  }

  beforeApplicationShutdown(): void {
    for (const stop of this.#stops) stop();
  }

  #noteChange(id: string, row: MachineRow | null): void {
    if (!row) this.activity.forget(id);
    else if (row.state === 'running') this.activity.noteUse(id, performance.now());
  }

  #look(now: number): void {
    if (this.runner.stopping.aborted) return;
    if (!this.messenger.connected || now - this.#lastLook > gapMs) this.activity.doubt(now);
    this.#lastLook = now;
    this.#keepLeast(now);
    if (!this.activity.isKnown(now)) return;
    for (const machines of this.#byRevision()) this.#lookAt(machines, now);
  }

  #byRevision(): Iterable<MachineRow[]> {
    return Map.groupBy(this.book.all(), revisionKey).values();
  }

  #lookAt(machines: readonly MachineRow[], now: number): void {
    const [first] = machines;
    const scale = first && this.routes.scaleOf(first);
    if (!scale) return;
    const changed = this.#scaleChanged.get(functionKey(first)) ?? -Infinity;
    const mayRest = machines.filter(({ id }) => !this.book.isLeaving(id) && !this.rest.isDraining(id));
    const resting = mayRest.map(({ id, state }) => ({
      id,
      state,
      idle: now - Math.max(this.activity.lastUse(id), changed, this.#began),
    }));
    for (const action of planRest(resting, scale, this.demand.wanted(first, now))) {
      if (this.#resting.size >= maxRests) return;
      if (!this.#resting.has(action.id) && !this.runner.isBusy(action.id)) void this.#rest(action);
    }
  }

  async #rest(action: RestAction): Promise<void> {
    const { id, from, to } = action;
    this.#resting.add(id);
    try {
      const rested = await this.#carryOut(action);
      // Tried again when it has been idle for as long once more.
      if (rested === 'in-use') this.activity.noteUse(id, performance.now());
    } catch (error) {
      if (this.runner.stopping.aborted) return;
      this.activity.noteUse(id, performance.now());
      this.runner.suspect();
      this.logger.warn({ err: error, machine: id, from, to }, 'a machine could not be put to rest');
    } finally {
      this.#resting.delete(id);
    }
  }

  #carryOut({ id, from, to }: RestAction): Promise<Rested> {
    if (to === 'removed') return this.rest.remove(id);
    return this.rest.rest(id, to, 'Nobody called it.', { from, patienceMs: 0 });
  }

  #keepLeast(now: number): void {
    for (const { project, function: name, traffic, scale } of this.routes.all()) {
      if (scale.min === 0) continue;
      for (const { revision } of traffic) this.#keep({ project, function: name, revision }, now);
    }
  }

  #keep(key: RevisionKey, now: number): void {
    const id = revisionKey(key);
    if ((this.#pausedUntil.get(id) ?? 0) > now) return;
    const { up, coming } = this.waker.upOrComing(key);
    for (let missing = this.demand.least(key) - up.length - coming; missing > 0; missing--) {
      this.#pausedUntil.delete(id);
      void this.waker.wakeAnother(key).catch((error: unknown) => {
        this.#pausedUntil.set(id, performance.now() + pauseMs);
        this.logger.warn(
          { err: error, revision: key.revision },
          'a machine that is always wanted is missing',
        );
      });
    }
  }
}
