import type { ScaleSettings } from '#contracts';

/** Events for each machine, when nothing is said of it and the function takes any number. */
const defaultTarget = 10;

export interface LagFacts {
  readonly settings: ScaleSettings;
  /** Events a machine takes at a time; 0 is without a limit. */
  readonly concurrency: number;
  readonly running: number;
  /** What was wanted last. */
  readonly before: number;
  /** Events that wait and that are being handled, now and on average over a short while. */
  readonly lag: number;
  readonly average: number;
}

export interface LagPlan {
  readonly wanted: number;
  readonly target: number;
  readonly reason: string;
}

/**
 * How many machines the events of a function need: one for each `target` of them, or by the staircase of `steps`. What is
 * being handled counts like what waits, so that nothing is taken away from under its work. Up at once; down only when the
 * average allows it too, or, with `whenEmpty`, when nothing is left.
 */
export function planLag({ settings, concurrency, running, before, lag, average }: LagFacts): LagPlan {
  const target = settings.target ?? (concurrency || defaultTarget);
  const { steps, scaleDown } = settings;
  const needOf = (events: number): number =>
    steps ? machinesOfStep(steps, events) : Math.ceil(events / target);
  const need = Math.max(needOf(lag), scaleDown === 'whenEmpty' ? 0 : needOf(average));
  const kept = scaleDown === 'whenEmpty' && lag > 0 ? Math.max(before, running) : 0;
  const desired = Math.max(need, kept);
  const wanted = Math.min(Math.max(desired, settings.min), Math.max(settings.max, settings.min));
  return { wanted, target, reason: reasonOf(settings, { lag, need, desired, wanted, target }) };
}

/** The machines of the highest step that is reached; none below the lowest. */
export function machinesOfStep(steps: NonNullable<ScaleSettings['steps']>, value: number): number {
  const reached = steps.filter(({ from }) => value >= from);
  return reached.reduce((best, step) => (step.from >= best.from ? step : best), { from: -1, machines: 0 })
    .machines;
}

function reasonOf(
  { steps, min, max }: ScaleSettings,
  plan: { lag: number; need: number; desired: number; wanted: number; target: number },
): string {
  const said = `${plan.lag} events wait or are being handled, ${steps ? 'by its steps' : `${plan.target} each`}`;
  if (plan.wanted < plan.desired) return `${said}; max is ${max}`;
  if (plan.wanted > plan.desired) return `${said}; min is ${min}`;
  return plan.desired > plan.need ? `${said}; none goes until all is done` : said;
}
