import { setTimeout as delay } from 'node:timers/promises';

import { asCestxError, type ErrorCode, type RequestOf, type ResponseOf, type WakeFunction } from '#contracts';

import type { CallTrace } from './call-trace.ts';
import type { EndpointTable } from './endpoint-table.ts';
import type { HeldCalls } from './held-calls.ts';
import { chooseRevision } from './pick-slot.ts';
import type { Target } from './target.ts';

type Request = RequestOf<typeof WakeFunction>;
type Answer = ResponseOf<typeof WakeFunction>;
/** Asks the machines room; rejects with what it threw, or `unavailable` when it did not answer. */
export type AskToWake = (request: Request) => Promise<Answer>;
/** A function was woken from this state in so many seconds, from the first call that waited until its machine was known. */
export type OnWoken = (from: Exclude<Answer['from'], 'running'>, seconds: number) => void;

/** Milliseconds before asking again; doubled each time. */
const firstPause = 50;
const longestPause = 1_000;
/** What passes by itself: a room being started again, a link that broke. All else ends the calls that wait. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'unavailable',
  'internal',
  'timed-out',
  'undone',
  'expired',
  'conflict',
]);

/** Asks for a machine of a function that calls wait for: one question at a time, however many calls, for as long as one waits. */
export class FunctionWaker {
  private readonly table: EndpointTable;
  private readonly ask: AskToWake;
  private readonly onWoken: OnWoken;
  private readonly asking = new Set<Target>();

  constructor(table: EndpointTable, ask: AskToWake, onWoken: OnWoken) {
    this.table = table;
    this.ask = ask;
    this.onWoken = onWoken;
  }

  /** `trace` is of the call that waits longest; the wake becomes part of it. */
  wake(target: Target, held: HeldCalls, trace: CallTrace): void {
    if (this.asking.has(target)) return;
    this.asking.add(target);
    void this.keepAsking(target, held, trace).finally(() => this.asking.delete(target));
  }

  private async keepAsking(target: Target, held: HeldCalls, trace: CallTrace): Promise<void> {
    const began = performance.now();
    const failed = new Set<string>();
    let pause = firstPause;
    target.wokenFrom = null;
    while (target.route && target.held.size > 0 && held.choose(target) === 'none') {
      const { project, function: name, traffic } = target.route;
      const revision = chooseRevision(traffic, failed);
      if (!revision) return;
      try {
        const { endpoint, from } = await trace.during(() => this.ask({ project, function: name, revision }));
        target.wokenFrom = from;
        if (from !== 'running') this.onWoken(from, (performance.now() - began) / 1000);
        this.table.setWoken(target, endpoint, Date.now());
      } catch (thrown) {
        const error = asCestxError(thrown);
        if (!passing.has(error.code)) {
          failed.add(revision);
          if (!chooseRevision(target.route?.traffic ?? [], failed)) held.refuseAll(target, error);
          continue;
        }
      }
      if (target.held.size === 0 || held.choose(target) !== 'none') return;
      await delay(pause, undefined, { ref: false });
      pause = Math.min(pause * 2, longestPause);
    }
  }
}
