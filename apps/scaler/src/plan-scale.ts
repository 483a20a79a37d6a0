import type { ScaleSettings } from '#contracts';

import { machinesOfStep } from './plan-lag.ts';

/**
 * How many machines a revision should have. The rules are those of Knative's pod autoscaler, so that who knows one knows the
 * other: https://knative.dev/docs/serving/autoscaling/kpa-specific/ and autoscaler.go in knative/serving
 * (pkg/autoscaler/scaling). Pure: what is decided follows from what is handed in.
 *
 * 1. wanted = average / target, rounded up; the average over the stable window.
 * 2. It panics when the average over the panic window needs twice of what runs. While it panics the higher of the two windows
 *    counts and the number never falls; it ends after a stable window without a further reason.
 * 3. At most ten times as many at once and at least half as many (Knative's defaults are 1000, which on one host is no limit, and 2).
 * 4. Never below one while machines run: what nobody calls is put to rest by the machines room, not by us.
 * 5. Ours, because machines here also rest one by one: up only as far as the panic window asks, or each machine that went to
 *    rest after a burst would be woken again until the burst has left the stable window.
 */

const panicThreshold = 2;
const maxScaleUpRate = 10;
const maxScaleDownRate = 2;
/** Reports come once a second: less than two of them is no average. */
const shortestPanicWindowMs = 2000;
/** Averages are sums of fractions; a hair above a whole number is that number. */
const hair = 1e-9;

export function panicWindowOf(settings: Pick<ScaleSettings, 'window'>): number {
  return Math.max(settings.window / 10, shortestPanicWindowMs);
}

/** Calls one machine should have in flight; never more than it takes. */
export function targetOf(settings: Pick<ScaleSettings, 'target'>, concurrency: number): number {
  if (concurrency === 0) return settings.target ?? 50;
  return Math.min(settings.target ?? 0.7 * concurrency, concurrency);
}

/** Since when it panics (renewed by each further reason), and the most that was wanted since. */
export interface Panic {
  since: number;
  most: number;
}

export interface ScaleFacts {
  /** Milliseconds of a clock that does not jump. */
  now: number;
  settings: ScaleSettings;
  /** Calls a machine takes at a time; 0 is without a limit. */
  concurrency: number;
  /** Machines that can be called. */
  running: number;
  /** Calls in flight and waiting, averaged over the stable and over the panic window. */
  value: number;
  panicValue: number;
  panic: Panic | null;
}

export interface ScalePlan {
  wanted: number;
  panic: Panic | null;
  target: number;
  reason: string;
}

export function planScale(facts: ScaleFacts): ScalePlan {
  const { now, settings, running, value, panicValue } = facts;
  const target = targetOf(settings, facts.concurrency);
  const needOf = (average: number): number =>
    settings.steps ? machinesOfStep(settings.steps, average + hair) : Math.ceil(average / target - hair);
  const ready = Math.max(1, running);
  const atRate = (need: number): number =>
    clamp(need, Math.floor(ready / maxScaleDownRate), ready * maxScaleUpRate);
  const recent = needOf(panicValue);
  const stable = atRate(needOf(value));

  const panic = nextPanic(facts, recent / ready >= panicThreshold, Math.max(stable, atRate(recent)));
  let desired = panic ? panic.most : stable;
  if (desired > running) desired = Math.max(running, Math.min(desired, atRate(recent)));
  const wanted = withinBounds(desired, facts);
  return {
    wanted,
    panic,
    target,
    reason: reasonOf(facts, { desired, wanted, target, isPanic: panic !== null, now }),
  };
}

/** A function that is seen for the first time with several machines is taken to be busy until a window says otherwise, as in Knative. */
export function firstPanic(running: number, now: number): Panic | null {
  return running > 1 ? { since: now, most: running } : null;
}

function nextPanic({ now, settings, panic }: ScaleFacts, isOver: boolean, desired: number): Panic | null {
  if (!isOver && (!panic || now - panic.since >= settings.window)) return null;
  return { since: isOver ? now : (panic?.since ?? now), most: Math.max(panic?.most ?? 0, desired) };
}

function withinBounds(desired: number, { settings, running }: ScaleFacts): number {
  // The first machine of a function at rest is woken by its call.
  const least = Math.max(settings.min, running > 0 || desired > 1 ? 1 : 0);
  const bounded = clamp(desired, least, Math.max(settings.max, settings.min));
  return running === 0 && bounded === 1 && settings.min === 0 ? 0 : bounded;
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}

function reasonOf(
  { settings, running, value, panicValue }: ScaleFacts,
  plan: { desired: number; wanted: number; target: number; isPanic: boolean; now: number },
): string {
  const each = settings.steps ? 'by its steps' : `${round(plan.target)} each`;
  const [average, window] = plan.isPanic ? [panicValue, panicWindowOf(settings)] : [value, settings.window];
  const said = `${round(average)} calls at a time over ${seconds(window)}, ${each}`;
  if (plan.wanted > plan.desired) {
    if (settings.min >= plan.wanted) return `${said}; min is ${settings.min}`;
    return `${said}; the last machine goes to rest by itself`;
  }
  if (plan.wanted < plan.desired) return `${said}; max is ${settings.max}`;
  if (plan.isPanic && plan.wanted > running)
    return `${said}: far more than ${running} should take, so at once and none goes for ${seconds(settings.window)}`;
  return said;
}

function round(value: number): string {
  return String(Number(value.toFixed(value < 10 ? 2 : 1)));
}

function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`;
}
