import type { Target } from './endpoint-table.ts';

/** Calls that wait because no machine of their function is ready: bounded in number, each bounded in time by its own deadline. */
export class HeldCalls {
  private readonly limit: number;
  private held = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Runs `wake` once, at the next change of the target or at `until` (ms); null when too many wait already. */
  hold(target: Target, until: number, wake: () => void): (() => void) | null {
    if (this.held >= this.limit) return null;
    this.held++;
    let over = false;
    const end = (): boolean => {
      if (over) return false;
      over = true;
      this.held--;
      clearTimeout(timer);
      forget();
      return true;
    };
    const run = () => {
      if (end()) wake();
    };
    const forget = target.onceChanged(run);
    const timer = setTimeout(run, Math.max(1, until - Date.now()));
    return end;
  }
}
