interface Sample {
  at: number;
  value: number;
}

/** What was read of a function's load, as far back as its window reaches. A reading that failed is a gap, never a zero. */
export class LoadWindow {
  #samples: Sample[] = [];

  record(at: number, value: number, keepMs: number): void {
    this.#samples.push({ at, value });
    const first = this.#samples.findIndex((sample) => sample.at > at - keepMs);
    if (first > 0) this.#samples.splice(0, first);
  }

  /**
   * The mean of what was read in the last `ms`; null when nothing was. A window that is not full yet is averaged over what
   * there is, as in Knative.
   */
  average(now: number, ms: number): number | null {
    let sum = 0;
    let count = 0;
    for (let index = this.#samples.length - 1; index >= 0; index--) {
      const sample = this.#samples[index];
      if (!sample || sample.at <= now - ms) break;
      sum += sample.value;
      count++;
    }
    return count === 0 ? null : sum / count;
  }

  /** True when every reading was zero. */
  get isIdle(): boolean {
    return this.#samples.every(({ value }) => value === 0);
  }
}
