import { setTimeout as delay } from 'node:timers/promises';

import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { inFlightResponseSchema, inFlightSubject } from '#contracts';
import { Messenger } from '#messaging';
import { isDatabaseAway } from '#storage';

import { ActivityBook } from './activity-book.ts';
import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { MachineBook } from './machine-book.ts';
import { MachineRunner, stopGraceMs } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';

export type Rested = 'rests' | 'in-use' | 'not-there';

const askEveryMs = 50;
const answerWithinMs = 250;
/** How long those who did not answer, or have not heard yet that no call may begin, are waited for. */
const unheardMs = 2000;
/** Between tries to write down what is so already. */
const writeAgainMs = 500;

interface Drain {
  /** A call wants this machine: it stays up. */
  wanted: boolean;
  /** Too late to stay up: it is being put to rest at this moment. */
  closing: boolean;
}

/**
 * Puts machines to rest, one tier after the other.
 *
 * 1. A machine is frozen or stopped only after every process that calls machines said that it has no call there and will
 *    begin none. Who does not answer may have one.
 * 2. Until then a call may have it back at once (`keepUp`).
 */
@Injectable()
export class MachineRest {
  readonly #drains = new Map<string, Drain>();

  constructor(
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    private readonly machines: MachineStore,
    private readonly book: MachineBook,
    private readonly activity: ActivityBook,
    private readonly runner: MachineRunner,
    private readonly messenger: Messenger,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Has a running machine stay up. False when that is too late; it can be woken once its lock is free. */
  keepUp(id: string): boolean {
    const drain = this.#drains.get(id);
    if (!drain) return true;
    if (!drain.closing) drain.wanted = true;
    return drain.wanted;
  }

  isDraining(id: string): boolean {
    const drain = this.#drains.get(id);
    return drain !== undefined && !drain.wanted;
  }

  /**
   * Drains a running machine and freezes or stops it; one that is frozen is only stopped. `from` is the state it must be in
   * still. `patienceMs` is how long calls may take to end; 0: only when it has none now.
   */
  rest(
    id: string,
    to: 'frozen' | 'stopped',
    reason: string,
    { from, patienceMs }: { from: MachineRow['state']; patienceMs: number },
  ): Promise<Rested> {
    return this.runner.exclusively(id, async () => {
      const row = this.book.get(id);
      if (!row || this.book.isLeaving(id)) return 'not-there';
      if (row.state === to) return 'rests';
      if (row.state !== from) return 'in-use';
      if (row.state === 'running') return this.#drainThen(row, to, reason, patienceMs);
      if (row.state !== 'frozen') return 'not-there';
      await this.#stop(row, reason);
      return 'rests';
    });
  }

  /** Removes a machine that rests. Its revision stays, so another can be made of it. */
  remove(id: string): Promise<Rested> {
    return this.runner.exclusively(id, async () => {
      const row = this.book.get(id);
      if (row?.state !== 'stopped' && row?.state !== 'failed') return row ? 'in-use' : 'not-there';
      await this.machines.transaction((tx) => this.machines.entomb(tx, id));
      await this.runner.down(id, row);
      await this.machines.transaction((tx) => this.machines.forget(tx, id));
      return 'rests';
    });
  }

  /** Tries until it is written, or the room stops: the engine has done it already. */
  async write(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!isDatabaseAway(error) || this.runner.stopping.aborted) throw error;
        this.logger.warn({ err: error }, 'the state of a machine could not be written, trying again');
        await delay(writeAgainMs, null, { signal: this.runner.stopping });
      }
    }
  }

  async #drainThen(
    row: MachineRow,
    to: 'frozen' | 'stopped',
    reason: string,
    patienceMs: number,
  ): Promise<Rested> {
    if (patienceMs === 0) {
      // Asked before it leaves traffic: connections that last are told to end when it does.
      const { complete, calls } = await this.#work(row);
      if (!complete || calls > 0) return 'in-use';
    }
    const drain: Drain = { wanted: false, closing: false };
    this.#drains.set(row.id, drain);
    try {
      await this.machines.transaction((tx) => this.machines.markDraining(tx, row));
      if (!(await this.#untilIdle(row, drain, patienceMs))) {
        await this.#putBack(row);
        return 'in-use';
      }
      drain.closing = true;
      if (to === 'frozen') await this.#freeze(row, reason);
      else await this.#stop(row, reason);
      return 'rests';
    } catch (error) {
      await this.#putBack(row);
      throw error;
    } finally {
      this.#drains.delete(row.id);
    }
  }

  /** False as soon as somebody wants it, when it has work and there is no patience, or when patience is over. */
  async #untilIdle(row: MachineRow, drain: Drain, patienceMs: number): Promise<boolean> {
    const deadline = performance.now() + Math.max(patienceMs, unheardMs);
    while (!drain.wanted && !this.runner.stopping.aborted) {
      const { complete, calls, open } = await this.#work(row);
      if (drain.wanted) return false;
      if (complete && calls === 0 && !open) return true;
      if (performance.now() >= deadline || (calls > 0 && patienceMs === 0)) return false;
      await delay(askEveryMs, null, { signal: this.runner.stopping }).catch(() => undefined);
    }
    return false;
  }

  /** Its calls in flight, whether more may begin, and whether everybody who calls machines has answered. */
  async #work({
    project,
    function: name,
    id,
  }: MachineRow): Promise<{ complete: boolean; calls: number; open: boolean }> {
    const request = { project, function: name, machine: id };
    const options = { waitMs: answerWithinMs };
    const answers = await this.messenger.askAll(inFlightSubject, request, inFlightResponseSchema, options);
    const now = performance.now();
    return {
      complete: this.activity.isKnown(now) && answers.length >= this.activity.callers(now),
      calls: answers.reduce((sum, answer) => sum + answer.calls, 0),
      open: answers.some((answer) => answer.open),
    };
  }

  async #freeze(row: MachineRow, reason: string): Promise<void> {
    const { driver } = this.chosen;
    try {
      await driver.freeze(row.id);
    } catch (error) {
      await driver.thaw(row.id).catch(() => undefined);
      throw error;
    }
    await this.write(() =>
      this.machines.transaction(async (tx) => void (await this.machines.markFrozen(tx, row, reason))),
    );
  }

  /** Written first: what a kill leaves running is then known to be none that should. */
  async #stop(row: MachineRow, reason: string): Promise<void> {
    const { restarts } = row;
    await this.machines.transaction(async (tx) => {
      await this.machines.markDown(tx, row, { state: 'stopped', restarts, retryAt: null, reason });
    });
    await this.chosen.driver.stop(row.id, stopGraceMs);
  }

  async #putBack(row: MachineRow): Promise<void> {
    if (this.book.get(row.id)?.state !== 'running' || this.book.isLeaving(row.id)) return;
    await this.write(() => this.machines.transaction((tx) => this.machines.markReady(tx, row))).catch(
      (error: unknown) => this.logger.warn({ err: error, machine: row.id }, 'a machine stays drained'),
    );
  }
}
