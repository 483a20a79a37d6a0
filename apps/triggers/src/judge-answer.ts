import type { CestxError, DeadLetter, DeliverySettings } from '#contracts';

/** How one try of a function to handle an event ended. */
export type Answer =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfter: string | undefined }
  /** It was asked, or could not even be started, and gave no answer. */
  | { readonly kind: 'failed'; readonly error: CestxError }
  /** Nobody asked it: no room, no machine in time, a part of the platform away. No try was used up. */
  | { readonly kind: 'not-tried'; readonly error: CestxError };

export interface Try {
  /** 1 for the first. */
  readonly attempt: number;
  /** Milliseconds since the event was stored. */
  readonly age: number;
}

export type Verdict =
  | { readonly kind: 'done' }
  /** Again in so many milliseconds; `counts` when a try was used up. */
  | { readonly kind: 'retry'; readonly delay: number; readonly counts: boolean; readonly message: string }
  | { readonly kind: 'dead'; readonly reason: DeadLetter['reason']; readonly message: string };

const retried = new Set([404, 408, 409, 429]);
/** Milliseconds before an event is tried again that never got to its function. */
const notTriedDelay = { least: 500, most: 5000 };

/**
 * What follows from how a function answered: 2xx is success, 404, 408, 409, 429, 5xx and no answer are tried again, every other
 * status is final. `random` is in [0, 1).
 */
export function judgeAnswer(
  answer: Answer,
  tried: Try,
  delivery: DeliverySettings,
  random: () => number = Math.random,
  now: number = Date.now(),
): Verdict {
  if (answer.kind === 'not-tried') {
    const delay = Math.round(notTriedDelay.least + random() * (notTriedDelay.most - notTriedDelay.least));
    return again(delay, false, answer.error.message, tried, delivery);
  }
  const message = answer.kind === 'failed' ? answer.error.message : `The function answered ${answer.status}.`;
  if (answer.kind === 'answered') {
    if (answer.status >= 200 && answer.status < 300) return { kind: 'done' };
    if (answer.status < 500 && !retried.has(answer.status))
      return { kind: 'dead', reason: 'rejected', message };
  }
  if (tried.attempt > delivery.retry) return { kind: 'dead', reason: 'attempts-used-up', message };
  const asked = answer.kind === 'answered' ? readRetryAfter(answer.retryAfter, now) : null;
  const delay = asked ?? backoff(tried.attempt, delivery, random);
  return again(delay, true, message, tried, delivery);
}

function again(
  delay: number,
  counts: boolean,
  message: string,
  { age }: Try,
  { maxAge }: DeliverySettings,
): Verdict {
  if (age + delay <= maxAge) return { kind: 'retry', delay, counts, message };
  return {
    kind: 'dead',
    reason: 'too-old',
    message: `${message} Another try would come after its maximum age.`,
  };
}

/** Exponential backoff with full jitter: anything up to `delay` · 2^(attempt-1), at most `maxDelay` (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
export function backoff(
  attempt: number,
  { backoff: kind, delay, maxDelay }: DeliverySettings,
  random: () => number,
): number {
  if (kind === 'fixed') return Math.min(delay, maxDelay);
  return Math.round(random() * Math.min(maxDelay, delay * 2 ** Math.min(attempt - 1, 30)));
}

/** Milliseconds of a Retry-After header, seconds or a date (RFC 9110, 10.2.3); null when it says nothing. */
export function readRetryAfter(value: string | undefined, now: number): number | null {
  const text = value?.trim();
  if (!text) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : Math.max(0, time - now);
}
