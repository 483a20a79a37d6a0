import { Cron } from 'croner';

import { CestxError, type TriggerSettings } from '#contracts';

export type Schedule = Extract<TriggerSettings, { kind: 'schedule' }>;

const every = /^@every\s+(\d+)(ms|s|m|h|d)$/;
const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const leastEvery = 1000;
/** Ticks made up for at once after the platform was away. */
const mostMissed = 1000;

/** When a schedule is due next after `after`; null when it never is again. Throws `bad-request` for what is no schedule. */
export function nextTick(
  { schedule, timezone }: Pick<Schedule, 'schedule' | 'timezone'>,
  after: Date,
): Date | null {
  const [, number, unit] = every.exec(schedule) ?? [];
  if (number && unit) {
    const ms = Number(number) * units[unit as keyof typeof units];
    if (ms < leastEvery) throw wrong(schedule, 'once a second is the most');
    // On a grid of its own, so that every process comes to the same times.
    return new Date((Math.floor(after.getTime() / ms) + 1) * ms);
  }
  try {
    return new Cron(schedule, { timezone, paused: true }).nextRun(after);
  } catch (error) {
    throw wrong(schedule, error instanceof Error ? error.message : String(error));
  }
}

/** The ticks to fire now, and when to look again. `due` is the first tick that was not fired yet. */
export function planTicks(settings: Schedule, due: Date, now: Date): { fire: Date[]; next: Date | null } {
  const ticks = [due];
  let next = nextTick(settings, due);
  while (next && next <= now && ticks.length < mostMissed) {
    ticks.push(next);
    next = nextTick(settings, next);
  }
  if (next && next <= now) next = nextTick(settings, now);
  if (settings.missed === 'all') return { fire: ticks, next };
  const last = ticks.at(-1) as Date;
  // A tick that is still the present one is not missed.
  const late = now.getTime() - last.getTime() > lateAfterMs;
  return { fire: settings.missed === 'skip' && late ? [] : [last], next };
}

/** A tick fired this much later was missed: the platform was away, and not just busy. */
const lateAfterMs = 10_000;

function wrong(schedule: string, why: string): CestxError {
  return new CestxError(
    'bad-request',
    `"${schedule}" is no schedule: ${why}. Write five or six cron fields, or "@every 5m".`,
  );
}
