import type { RouteEntry, ScaleDecision, ScaleSettings } from '#contracts';

import { LoadWindow } from './load-window.ts';
import { isSettled, planOrder, type Order } from './plan-order.ts';
import { planLag } from './plan-lag.ts';
import {
  firstPanic,
  panicWindowOf,
  planScale,
  type Panic,
  type ScaleFacts,
  type ScalePlan,
} from './plan-scale.ts';

export interface Decided {
  kind: 'new' | 'again';
  decision: ScaleDecision;
}

/** What is remembered of one revision while it has work: its load, whether it panics, and the last order. */
export class RevisionScale {
  readonly #window = new LoadWindow();
  #panic: Panic | null;
  #order: Order | null = null;
  #rowId: string | null = null;

  constructor(running: number, now: number, metric: ScaleSettings['metric'] = 'concurrency') {
    this.#panic = metric === 'concurrency' ? firstPanic(running, now) : null;
  }

  /** Notes the load of this moment and says what to order; null when nothing is to be. */
  look(facts: {
    now: number;
    load: number;
    running: number;
    route: RouteEntry;
    revision: string;
  }): Decided | null {
    const { now, load, running, route, revision } = facts;
    const { scale: settings, concurrency } = route;
    this.#window.record(now, load, settings.window);
    const value = this.#window.average(now, settings.window) ?? load;
    const panicValue = this.#window.average(now, panicWindowOf(settings)) ?? load;
    const plan =
      settings.metric === 'concurrency'
        ? this.#byCalls({ now, settings, concurrency, running, value, panicValue })
        : planLag({
            settings,
            concurrency,
            running,
            before: this.#order?.wanted ?? 0,
            lag: load,
            average: panicValue,
          });
    const due = planOrder(this.#order, plan.wanted, running, now);
    if (plan.wanted === running && this.#order && isSettled(this.#order, now)) this.#order = null;
    if (due === 'none') return null;
    const { project, function: name } = route;
    const decision = {
      project,
      function: name,
      revision,
      from: running,
      to: plan.wanted,
      metric: settings.metric,
      value,
      panicValue,
      target: plan.target,
      panic: this.#panic !== null,
      reason: plan.reason,
    };
    return { kind: due, decision };
  }

  #byCalls(facts: Omit<ScaleFacts, 'panic'>): ScalePlan {
    const plan = planScale({ ...facts, panic: this.#panic });
    this.#panic = plan.panic;
    return plan;
  }

  noteDecision(rowId: string): void {
    this.#rowId = rowId;
  }

  noteOrder(wanted: number, now: number, kind: 'new' | 'again'): void {
    const misses = kind === 'again' ? (this.#order?.misses ?? 0) + 1 : 0;
    this.#order = { wanted, sentAt: now, endedAt: null, reached: null, misses };
  }

  /** The last order ended; returns the row of its decision. */
  noteEnd(reached: number | null, now: number): string | null {
    if (!this.#order) return null;
    this.#order.endedAt = now;
    this.#order.reached = reached;
    return this.#rowId;
  }

  /** True when what is remembered would be no different from what a first look would bring. */
  isForgettable(running: number, { min }: ScaleSettings): boolean {
    return (
      this.#window.isIdle &&
      this.#panic === null &&
      this.#order === null &&
      running >= min &&
      running <= Math.max(min, 1)
    );
  }
}
