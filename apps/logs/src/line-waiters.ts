import { Injectable } from '@nestjs/common';

/** Readers that wait for the next line of a function, woken by the loop that keeps lines in this process. */
@Injectable()
export class LineWaiters {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** To be called before looking whether there are lines, so that none can slip in between. `release` when it is over. */
  register(project: string, functionName: string): { woken: Promise<void>; release: () => void } {
    const key = `${project}.${functionName}`;
    const { promise: woken, resolve } = Promise.withResolvers<void>();
    const waiters = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiters.add(resolve));
    const release = () => {
      waiters.delete(resolve);
      if (waiters.size === 0 && this.#waiting.get(key) === waiters) this.#waiting.delete(key);
    };
    return { woken, release };
  }

  wake(lines: Iterable<{ project: string; name: string }>): void {
    if (this.#waiting.size === 0) return;
    const keys = new Set<string>();
    for (const line of lines) keys.add(`${line.project}.${line.name}`);
    for (const key of keys) for (const resolve of this.#waiting.get(key) ?? []) resolve();
  }

  wakeAll(): void {
    for (const waiters of this.#waiting.values()) for (const resolve of waiters) resolve();
  }
}
