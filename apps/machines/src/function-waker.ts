import { randomUUID } from 'node:crypto';

import { Inject, Injectable } from '@nestjs/common';

import { CestxError, type Endpoint, type ResponseOf, type WakeFunction } from '#contracts';

import { ActivityBook } from './activity-book.ts';
import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { LogPump } from './log-pump.ts';
import { MachineBook, revisionKey, type RevisionKey } from './machine-book.ts';
import { MachineExits } from './machine-exits.ts';
import { MachineRest } from './machine-rest.ts';
import { MachineRunner } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { endpointOf, MachineStore } from './machine.store.ts';
import { isDue } from './plan-machines.ts';
import { planMore, planWake, type MorePlan, type WakeableMachine } from './plan-wake.ts';
import { inMachineSpan } from './trace-driver.ts';

export type Woken = Pick<ResponseOf<typeof WakeFunction>, 'endpoint' | 'from'>;

/** For the end of a machine to be noted, its last lines with it. */
const noteMs = 5000;
/** Beyond what its program may take to start: time of the engine. */
const createPatienceMs = 30_000;

/**
 * Brings machines up that rest, or that are not there yet.
 *
 * 1. However many ask for a machine of a revision, one is brought up, and all get that one.
 * 2. A thawed machine is told of before its state is written: it answers already. A kill in between leaves one that runs
 *    though its row says `frozen`, which is put right when the room is back.
 */
@Injectable()
export class FunctionWaker {
  readonly #wakes = new Map<string, Promise<Woken>>();
  /** Machines that are being brought up, by id. */
  readonly #coming = new Map<string, { revision: string; woken: Promise<Woken> }>();

  constructor(
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    private readonly machines: MachineStore,
    private readonly book: MachineBook,
    private readonly activity: ActivityBook,
    private readonly runner: MachineRunner,
    private readonly rest: MachineRest,
    private readonly exits: MachineExits,
    private readonly pump: LogPump,
  ) {}

  /** A machine of the revision that can be called. Throws `not-found`, `no-capacity`, `over-quota` or `start-failed`. */
  wake(key: RevisionKey): Promise<Woken> {
    const id = revisionKey(key);
    const before = this.#wakes.get(id);
    if (before) return before;
    const wake = this.#wake(key).finally(() => this.#wakes.delete(id));
    this.#wakes.set(id, wake);
    return wake;
  }

  /** Brings one more machine of the revision up, beside those that run or are coming. Throws as `wake` does. */
  wakeAnother(key: RevisionKey): Promise<Woken> {
    return this.#carryOut(key, planMore(this.#machinesOf(key), Date.now()));
  }

  /** Machines of the revision that run and may be called, and those on their way there. */
  upOrComing(key: RevisionKey): { up: MachineRow[]; coming: number } {
    const rows = this.book.ofRevision(key);
    const up = rows.filter(({ id, state }) => state === 'running' && !this.rest.isDraining(id));
    const made = rows.filter(({ state }) => state === 'creating');
    return { up, coming: this.#comingOf(key).length + made.length };
  }

  /** Resolves when no machine of the revision is being brought up any more, however that ended. */
  async untilSettled(key: RevisionKey): Promise<void> {
    await Promise.allSettled(this.#comingOf(key));
  }

  /** Starts a machine that rests or ended, and has its row say so. */
  start(id: string): Promise<Woken> {
    return this.#come(id, this.book.get(id), () =>
      this.runner.exclusively(id, async () => {
        await this.#letGo(id);
        return this.#start(id);
      }),
    );
  }

  /** A stop that a kill cut off may have left a machine frozen: started, it would take connections and answer none. */
  async #letGo(id: string): Promise<void> {
    const row = this.book.get(id);
    if (row?.state !== 'stopped' && row?.state !== 'failed') return;
    const seen = await this.chosen.driver.inspect(id);
    if (seen?.state === 'frozen') await this.chosen.driver.thaw(id);
  }

  async #wake(key: RevisionKey): Promise<Woken> {
    const gone = new Set<string>();
    for (;;) {
      this.runner.stopping.throwIfAborted();
      const plan = planWake(
        this.#machinesOf(key).filter(({ id }) => !gone.has(id)),
        Date.now(),
      );
      if (plan.kind === 'join') return (await this.#coming.get(plan.id)?.woken) ?? this.#wake(key);
      if (plan.kind === 'wait') await this.#untilCreated(plan.id);
      else if (plan.kind === 'use') {
        const woken = await this.#use(plan.id);
        if (woken) return woken;
        if (this.book.get(plan.id)?.state === 'running') gone.add(plan.id);
      } else {
        try {
          return await this.#carryOut(key, plan);
        } catch (error) {
          // It was there a moment ago: there may be another way.
          if (!('id' in plan && error instanceof CestxError && error.code === 'conflict')) throw error;
          this.runner.suspect();
          gone.add(plan.id);
        }
      }
    }
  }

  async #carryOut(key: RevisionKey, plan: MorePlan): Promise<Woken> {
    switch (plan.kind) {
      case 'thaw':
        return this.thaw(plan.id);
      case 'start':
        return this.start(plan.id);
      case 'create':
        return this.#create(key);
      case 'refuse':
        throw this.#crashLoop(plan.id);
    }
  }

  #machinesOf(key: RevisionKey): WakeableMachine[] {
    return this.book.ofRevision(key).map(({ id, state, retryAt }) => ({
      id,
      state,
      retryAt,
      lastUse: this.rest.isDraining(id) ? -Infinity : this.activity.lastUse(id),
      coming: this.#coming.has(id),
    }));
  }

  /** Null when it does not run after all. */
  async #use(id: string): Promise<Woken | null> {
    if (!this.rest.keepUp(id)) return this.thaw(id);
    const seen = await this.chosen.driver.inspect(id);
    const row = this.book.get(id);
    // The engine took its time, in which it may have begun to go to rest.
    if (seen?.state === 'frozen' || !this.rest.keepUp(id)) return this.thaw(id);
    if (seen?.state === 'running' && row?.state === 'running' && row.address)
      return this.#woken(row, row.address, 'running');
    this.runner.suspect();
    // Its end is noted within moments, and then it can be started again.
    await this.book.until(
      () => (this.book.get(id)?.state === 'running' ? undefined : true),
      noteMs,
      this.runner.stopping,
    );
    return null;
  }

  async #untilCreated(id: string): Promise<void> {
    const startup = this.book.get(id)?.settings.health.startup ?? 0;
    const created = await this.book.until(
      () => (this.book.get(id)?.state === 'creating' ? undefined : true),
      startup + createPatienceMs,
      this.runner.stopping,
    );
    if (!created)
      throw new CestxError('unavailable', 'The machine of the function is still being made.', {
        retryable: true,
      });
  }

  /** Resolves as soon as it goes on, while its state is still being written. Throws `conflict` when it is not frozen any more. */
  thaw(id: string): Promise<Woken> {
    return this.#come(
      id,
      this.book.get(id),
      () =>
        new Promise((resolve, reject) => {
          this.runner.exclusively(id, () => this.#thaw(id, resolve)).catch(reject);
        }),
    );
  }

  async #thaw(id: string, tell: (woken: Woken) => void): Promise<void> {
    const row = this.#present(id);
    const { address } = row;
    if (row.state === 'running' && address) {
      // A kill may have come between the freeze and the note of it.
      await this.chosen.driver.thaw(id);
      return tell(this.#woken(row, address, 'running'));
    }
    if (row.state !== 'frozen' || !address)
      throw new CestxError('conflict', `The machine ${id} is not frozen.`);
    await this.chosen.driver.thaw(id);
    this.book.set({ ...row, state: 'running', since: new Date(), reason: null });
    tell(this.#woken(row, address, 'frozen'));
    await this.rest.write(() =>
      this.machines.transaction((tx) => this.machines.markRunning(tx, row, address)),
    );
  }

  async #create(key: RevisionKey): Promise<Woken> {
    const id = `m-${randomUUID().replaceAll('-', '').slice(0, 12)}`;
    return this.#come(id, key, () =>
      this.runner.exclusively(id, async () => {
        await this.machines.beginAnother(id, key, this.chosen.driver.name);
        try {
          return { ...(await this.#start(id)), from: 'absent' as const };
        } catch (error) {
          // Nothing was made of it.
          if (isRefused(error)) await this.machines.transaction((tx) => this.machines.forget(tx, id));
          throw error;
        }
      }),
    );
  }

  async #start(id: string): Promise<Woken> {
    const row = this.#present(id);
    if (row.state === 'running' && row.address) return this.#woken(row, row.address, 'running');
    if (row.state === 'frozen' || row.state === 'creating')
      throw new CestxError('conflict', `The machine ${id} is ${row.state}.`);
    if (row.state === 'failed' && row.retryAt && !isDue(row.retryAt, Date.now())) throw this.#crashLoop(id);
    try {
      const address = await inMachineSpan('start machine', id, () =>
        this.runner.up(row, this.runner.stopping),
      );
      await this.rest.write(() =>
        this.machines.transaction((tx) => this.machines.markRunning(tx, row, address)),
      );
      return this.#woken(row, address, 'stopped');
    } catch (error) {
      // A platform in trouble, or one that is full, says nothing about the function.
      if (error instanceof CestxError && error.code === 'start-failed' && !error.retryable)
        await this.exits.note(row, null, error.message);
      throw error;
    }
  }

  #present(id: string): MachineRow {
    const row = this.book.get(id);
    if (!row || this.book.isLeaving(id)) throw new CestxError('conflict', `The machine ${id} is gone.`);
    return row;
  }

  #woken(row: MachineRow, address: string, from: Woken['from']): Woken {
    this.activity.touch(row, row.id, performance.now());
    const endpoint: Endpoint = endpointOf(row, address);
    return { endpoint, from };
  }

  #comingOf(key: RevisionKey): Promise<Woken>[] {
    return [...this.#coming]
      .filter(([id, { revision }]) => revision === revisionKey(key) && this.book.get(id)?.state !== 'running')
      .map(([, { woken }]) => woken);
  }

  #come(id: string, key: RevisionKey | null, work: () => Promise<Woken>): Promise<Woken> {
    const before = this.#coming.get(id);
    if (before) return before.woken;
    const woken = work().finally(() => this.#coming.delete(id));
    this.#coming.set(id, { revision: key ? revisionKey(key) : '', woken });
    return woken;
  }

  #crashLoop(id: string): CestxError {
    const row = this.book.get(id);
    const at = row?.retryAt ? `, and is started again at ${row.retryAt.toISOString()}` : '';
    const times = row && row.restarts > 1 ? ` ${row.restarts} times in a row` : '';
    return new CestxError(
      'start-failed',
      `The program ended${times}${at}. The last time: ${row?.reason ?? 'no reason is known.'}`,
      { lastLines: this.pump.lastLines(id) },
    );
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof CestxError && (error.code === 'no-capacity' || error.code === 'over-quota');
}
