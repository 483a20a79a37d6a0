import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  timeoutMs?: number;
  everyMs?: number;
}

/**
 * Repeats `attempt` until it neither throws nor answers undefined, null or false, and gives its answer. When the time is
 * up, the last error is the one that is thrown: it says what was still missing.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25 }: EventuallyOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    let problem: unknown = new Error('it never answered');
    try {
      const answer = await attempt();
      if (isThere(answer)) return answer;
      problem = new Error(`the last answer was ${String(answer)}`);
    } catch (error) {
      problem = error;
    }
    if (Date.now() >= deadline) throw new Error(`still not so after ${timeoutMs} ms`, { cause: problem });
    await delay(everyMs);
  }
}

function isThere<T>(answer: T): answer is Exclude<T, undefined | null | false> {
  return answer !== undefined && answer !== null && answer !== false;
}
