/**
 * A number that goes up and down, and its exact average over time: the area under it, summed at each change.
 * Times are milliseconds of one clock that never goes back (`performance.now()`).
 */
export class LoadMeter {
  private value = 0;
  private area = 0;
  private changedAt = 0;

  get current(): number {
    return this.value;
  }

  change(by: number, now: number): void {
    this.area += this.value * (now - this.changedAt);
    this.changedAt = now;
    this.value += by;
  }

  /** The average from `since`, the time of the last `take`, to `now`. */
  take(since: number, now: number): number {
    this.change(0, now);
    const { area } = this;
    this.area = 0;
    return now > since ? area / (now - since) : this.value;
  }
}
