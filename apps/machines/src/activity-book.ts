import { Injectable } from '@nestjs/common';

import type { Activity } from '#contracts';

import { functionKey, type FunctionKey } from './machine-book.ts';

/** After a break this long must be listened before silence means anything: callers report every second. */
const listenMs = 3000;
/** A caller that did not report for this long is not waited for. */
const callerPatienceMs = 10_000;

/**
 * When machines and functions last had work, as those who call them say. All times are milliseconds of a clock that only
 * goes on (`performance.now()`), so that setting the wall clock puts nothing to rest.
 */
@Injectable()
export class ActivityBook {
  readonly #machines = new Map<string, number>();
  readonly #functions = new Map<string, number>();
  readonly #callers = new Map<string, number>();
  #knownFrom = Infinity;

  hear(report: Activity, now: number): void {
    this.#callers.set(report.caller, now);
    for (const { machines, concurrency, waiting, ...key } of report.functions) {
      if (concurrency > 0 || waiting > 0) this.#functions.set(functionKey(key), now);
      for (const { machine, calls, begun } of machines) {
        if (calls === 0 && begun === 0) continue;
        this.#machines.set(machine, now);
        this.#functions.set(functionKey(key), now);
      }
    }
  }

  /** What callers said may have been missed until now. */
  doubt(now: number): void {
    this.#knownFrom = now + listenMs;
  }

  /** False while a call may be under way that was not heard of. */
  isKnown(now: number): boolean {
    return now >= this.#knownFrom;
  }

  /** Notes that a machine is used, without a call of its function. */
  noteUse(machine: string, now: number): void {
    this.#machines.set(machine, now);
  }

  /** Notes that somebody is about to call this machine. */
  touch(key: FunctionKey, machine: string, now: number): void {
    this.#machines.set(machine, now);
    this.#functions.set(functionKey(key), now);
  }

  /** How many processes call machines; each of them is to be asked before one goes to rest. */
  callers(now: number): number {
    for (const [caller, heard] of this.#callers)
      if (now - heard > callerPatienceMs) this.#callers.delete(caller);
    return this.#callers.size;
  }

  /** -Infinity for one never heard of. */
  lastUse(machine: string): number {
    return this.#machines.get(machine) ?? -Infinity;
  }

  lastActive(key: FunctionKey): number {
    return this.#functions.get(functionKey(key)) ?? -Infinity;
  }

  forget(machine: string): void {
    this.#machines.delete(machine);
  }
}
