import { setTimeout as delay } from 'node:timers/promises';

import Docker from 'dockerode';

import { CestxError } from '#contracts';

/**
 * An engine from an address as `DOCKER_HOST` writes it. With `timeout` (milliseconds), calls during which nothing is heard
 * for so long are given up; none for streams, which may be silent for days.
 */
export function connectToEngine(host: string, timeout = 0): Docker {
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length), timeout });
  const url = new URL(host);
  return new Docker({ protocol: 'http', host: url.hostname, port: Number(url.port || 2375), timeout });
}

/** Milliseconds an engine or a registry gets to answer at all when it is chosen. */
const choiceTimeout = 2000;
const registryTimeout = 5000;
/** Milliseconds for questions, and for what makes the engine work: a start on a busy host takes seconds. */
export const questionTimeout = 10_000;
export const workTimeout = 60_000;

/**
 * Why functions cannot run in containers here, or null when an engine answers and has one of the images, or a registry has
 * one that may be pulled.
 */
export async function whyNoEngine(
  docker: Docker,
  { local, pullable }: { local: readonly string[]; pullable: readonly string[] },
): Promise<{ engine: boolean; reason: string } | null> {
  const version = await inTime(docker.version(), choiceTimeout);
  if (!version) return { engine: false, reason: 'No container engine answers.' };
  for (const image of [...local, ...pullable])
    if (await inTime(docker.getImage(image).inspect(), choiceTimeout)) return null;
  for (const image of pullable)
    if (await inTime(docker.getImage(image).distribution(), registryTimeout)) return null;
  return {
    engine: true,
    reason: `A container engine answers, but it has no base image (${[...local, ...pullable].join(', ')}) and cannot pull one; "npm run images" makes one.`,
  };
}

async function inTime<T>(call: Promise<T>, timeout: number): Promise<T | null> {
  const late = new AbortController();
  const answer = await Promise.race([
    call.catch(() => null),
    delay(timeout, null, { signal: late.signal }).catch(() => null),
  ]);
  late.abort();
  return answer;
}

export function statusOf(error: unknown): number | null {
  return typeof error === 'object' && error !== null && 'statusCode' in error
    ? Number(error.statusCode)
    : null;
}

/**
 * The answer of an engine call; the HTTP statuses in `fine` mean that things are already as they should be, and give null.
 * Throws `unavailable`, to be tried again, when the engine is away, hangs up or does not answer in time.
 */
export async function settle<T>(call: Promise<T>, ...fine: number[]): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    const status = statusOf(error);
    if (status !== null && fine.includes(status)) return null;
    // Without a status nobody answered at all.
    if (status !== null || error instanceof CestxError) throw error;
    throw engineAway(error);
  }
}

export function engineAway(cause?: unknown): CestxError {
  return new CestxError('unavailable', 'The container engine does not answer; it is tried again.', {
    retryable: true,
    ...(cause === undefined ? {} : { cause, detail: String(cause) }),
  });
}

/** As `settle`, for what is never fine but an answer. */
export async function answer<T>(call: Promise<T>): Promise<T> {
  return (await settle(call)) as T;
}
