import type { Activity } from '#contracts';

/** Milliseconds of silence after which a caller, who reports every second, is late. */
const lateAfter = 3000;
/** And after which it is taken to have ended, and its calls with it. */
const goneAfter = 10_000;

interface Caller {
  heardAt: number;
  /** Reports since the last reading. */
  reports: Map<string, number>[];
  last: Map<string, number>;
}

export interface Reading {
  /** Nobody reported in time: nothing is known of any function. */
  silent: boolean;
  /** Calls in flight and held of each function that has any, by `<project>.<function>`. */
  loads: Map<string, number>;
  /** Functions of which a part is not known, because a caller that had calls there is late. */
  partial: Set<string>;
}

/** What every process that calls machines says of its calls, summed up once per look. */
export class CallerReports {
  readonly #callers = new Map<string, Caller>();

  hear(activity: Activity, now: number): void {
    const report = new Map(
      activity.functions.map((one) => [`${one.project}.${one.function}`, one.concurrency] as const),
    );
    const caller = this.#callers.get(activity.caller);
    if (!caller) this.#callers.set(activity.caller, { heardAt: now, reports: [report], last: report });
    else {
      caller.heardAt = now;
      caller.reports.push(report);
      caller.last = report;
    }
  }

  /**
   * The load since the last reading. Reports and readings have the same rhythm but not the same beat: of two reports the mean
   * counts, and without a new one the last still does.
   */
  read(now: number): Reading {
    const reading: Reading = { silent: true, loads: new Map(), partial: new Set() };
    for (const [id, caller] of this.#callers) {
      const silence = now - caller.heardAt;
      if (silence > goneAfter) {
        this.#callers.delete(id);
        continue;
      }
      const isLate = silence > lateAfter;
      if (!isLate) reading.silent = false;
      const reports = caller.reports.length > 0 ? caller.reports : [caller.last];
      for (const report of reports) {
        for (const [name, calls] of report) {
          if (isLate && calls > 0) reading.partial.add(name);
          reading.loads.set(name, (reading.loads.get(name) ?? 0) + calls / reports.length);
        }
      }
      caller.reports = [];
    }
    return reading;
  }
}
