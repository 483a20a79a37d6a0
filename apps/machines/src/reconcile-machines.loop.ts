import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { Demand } from './demand.ts';
import { FunctionWaker } from './function-waker.ts';
import { LogPump } from './log-pump.ts';
import { MachineBook } from './machine-book.ts';
import { MachineExits } from './machine-exits.ts';
import { MachineRunner, stopGraceMs } from './machine-runner.ts';
import type { SeenMachine } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';
import type { MachinesConfig } from './machines.config.ts';
import { planMachines, type MachineAction, type WantedMachine } from './plan-machines.ts';
import { untraced } from './trace-driver.ts';

const everyMs = 30_000;
/** After a round that failed: the engine may be away. */
const againMs = 2000;
/** Starts at a time: after a restart of the platform all functions come back at once. */
const maxStarts = 8;
const linesPatienceMs = 3000;

/** Keeps what runs in step with what should: at the start, every few seconds, and when a machine has ended. */
@Injectable()
export class ReconcileMachinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #acting = new Set<Promise<void>>();
  #starts = 0;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #again = false;
  #isFirst = true;
  #stopListening: (() => void) | null = null;

  constructor(
    private readonly machines: MachineStore,
    private readonly book: MachineBook,
    private readonly runner: MachineRunner,
    private readonly exits: MachineExits,
    private readonly waker: FunctionWaker,
    private readonly demand: Demand,
    private readonly pump: LogPump,
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    @Inject(ROOM_CONFIG) private readonly config: MachinesConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const { driver, reason } = this.chosen;
    this.logger.info({ driver: driver.name, reason }, `machines run on ${driver.name}`);
    if (driver.warning) this.logger.warn(driver.warning);
    const stops = [driver.onExit(() => this.#kick()), this.book.onChange((_, row) => this.#kickWhenDue(row))];
    this.#stopListening = () => stops.forEach((stop) => stop());
    this.runner.onSuspicion(() => this.#kick());
    this.#timer = setInterval(() => this.#kick(), everyMs);
    void this.machines
      .purgeTombstones()
      .catch((error: unknown) => this.logger.warn({ err: error }, 'purging failed'));
    this.#kick();
  }

  /** Machines stay only when that was asked for and the driver can; else nothing of them is left, and they come back. */
  async beforeApplicationShutdown(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    this.#stopListening?.();
    await this.runner.stop();
    await this.#round;
    await Promise.allSettled(this.#acting);
    const keeps = this.config.CESTX_KEEP_MACHINES && this.chosen.driver.name !== 'process';
    if (!keeps) await this.#stopAll();
    await this.pump.stop(keeps ? 0 : linesPatienceMs);
    if (!keeps) await this.#removeAll();
    await this.chosen.driver.close();
  }

  async #stopAll(): Promise<void> {
    const rows = await this.machines.list();
    await this.machines.transaction(async (tx) => {
      for (const row of rows) {
        const { restarts } = row;
        const reason = 'The platform stopped.';
        const retryAt = row.state === 'running' ? new Date() : null;
        if (row.state === 'running' || row.state === 'frozen')
          await this.machines.markDown(tx, row, { state: 'stopped', restarts, retryAt, reason });
      }
    });
    const seen = await this.chosen.driver.list();
    const up = seen.filter(({ state }) => state === 'running' || state === 'frozen');
    await Promise.allSettled(up.map(({ id }) => this.chosen.driver.stop(id, stopGraceMs)));
  }

  /** Only once their last lines are read. A machine keeps nothing between two starts, so it is made anew next time. */
  async #removeAll(): Promise<void> {
    const seen = await this.chosen.driver.list();
    await Promise.allSettled(seen.map(({ id }) => this.chosen.driver.remove(id)));
  }

  #kick(): void {
    if (this.runner.stopping.aborted) return;
    this.#again = true;
    this.#round ??= untraced(() => this.#rounds()).finally(() => {
      this.#round = null;
    });
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.runner.stopping.aborted) {
      this.#again = false;
      try {
        await this.#reconcile();
      } catch (error) {
        this.logger.warn({ err: error }, 'machines could not be compared with what they should be');
        setTimeout(() => this.#kick(), againMs).unref();
      }
    }
  }

  async #reconcile(): Promise<void> {
    const seen = await this.chosen.driver.list();
    const rows = await this.machines.list();
    const actions = planMachines(await this.#wanted(rows), seen, Date.now());
    const byId = new Map(rows.map((row) => [row.id, row]));
    if (this.#isFirst)
      await this.#tellCallers(
        actions.flatMap(({ kind, id }) => (kind === 'follow' ? (byId.get(id) ?? []) : [])),
      );
    this.#isFirst = false;
    for (const action of actions) {
      if (this.runner.isBusy(action.id)) continue;
      const row = byId.get(action.id);
      if (action.kind === 'follow' && row) this.pump.follow(row);
      else if (action.kind !== 'start') this.#act(action);
      else if (row && this.#starts < maxStarts && this.#isNeeded(row)) this.#startAgain(row);
    }
    for (const row of rows)
      if (this.book.get(row.id)?.state !== row.state) this.#act({ kind: 'recall', id: row.id });
  }

  /** An earlier life of this room may have been killed while it took one out of traffic. */
  async #tellCallers(running: MachineRow[]): Promise<void> {
    await this.machines.transaction(async (tx) => {
      for (const row of running) if (!this.book.isLeaving(row.id)) await this.machines.markReady(tx, row);
    });
  }

  async #wanted(rows: MachineRow[]): Promise<WantedMachine[]> {
    const removed = await this.machines.removedAmong(rows.map(({ id }) => id));
    return rows.map((row) => ({ ...row, removed: removed.has(row.id) }));
  }

  #isNeeded(row: MachineRow): boolean {
    const { up, coming } = this.waker.upOrComing(row);
    return up.length + coming < this.demand.wanted(row, performance.now());
  }

  /** Does it in the background: a slow start of one machine must not keep the others waiting. */
  #act(action: Pick<MachineAction, 'id'> & { kind: MachineAction['kind'] | 'recall' }): void {
    this.#inBackground(action.kind, action.id, () =>
      this.runner.exclusively(action.id, () => this.#perform(action)),
    );
  }

  #startAgain({ id, function: name }: MachineRow): void {
    this.#starts++;
    this.#inBackground('start', id, async () => {
      try {
        await this.waker.start(id);
        this.logger.info({ machine: id, function: name }, 'machine runs again');
      } finally {
        this.#starts--;
        this.#kick();
      }
    });
  }

  #inBackground(what: string, machine: string, work: () => Promise<void>): void {
    const acting = work()
      .catch((error: unknown) => {
        if (!this.runner.stopping.aborted)
          this.logger.warn({ err: error, machine }, `could not ${what} a machine`);
      })
      .finally(() => this.#acting.delete(acting));
    this.#acting.add(acting);
  }

  /** Decides once more now that nobody else is at this machine: what was seen before may be over. */
  async #perform({ id, kind }: { id: string; kind: MachineAction['kind'] | 'recall' }): Promise<void> {
    const seen = await this.chosen.driver.inspect(id);
    const row = await this.machines.find(id);
    if (kind === 'recall') return row ? this.book.set(row) : undefined;
    const wanted = await this.#wanted(row ? [row] : []);
    const action = planMachines(wanted, seen ? [seen] : [], Date.now())[0];
    if (action?.kind !== kind) return;
    if (action.kind === 'remove') {
      await this.runner.down(id, row);
      await this.machines.transaction((tx) => this.machines.forget(tx, id));
    } else if (row) await this.#putRight(action, row, seen);
  }

  async #putRight(action: MachineAction, row: MachineRow, seen: SeenMachine | null): Promise<void> {
    switch (action.kind) {
      case 'thaw':
        await this.chosen.driver.thaw(row.id);
        return this.machines.transaction((tx) => this.machines.markReady(tx, row));
      case 'move':
        this.pump.follow(row);
        return this.machines.transaction((tx) => this.machines.markRunning(tx, row, action.address));
      case 'stop':
        return this.chosen.driver.stop(row.id, stopGraceMs);
      case 'note-stopped':
        return this.machines.transaction(async (tx) => {
          const reason = 'It ended while it was frozen.';
          const { restarts } = row;
          await this.machines.markDown(tx, row, { state: 'stopped', restarts, retryAt: null, reason });
        });
      case 'note-exit':
        if (seen) this.pump.follow(row);
        await this.pump.finished(row.id, linesPatienceMs);
        return this.exits.note(row, action.exit, `The program ${action.exit?.reason ?? 'is gone'}.`);
      case 'follow':
      case 'start':
      case 'remove':
        throw new Error(`${action.kind} is done elsewhere`);
    }
  }

  /** The rhythm of the loop is too slow for the first tries of a machine that ended. */
  #kickWhenDue(row: MachineRow | null): void {
    if (row?.state !== 'failed' || !row.retryAt) return;
    const wait = row.retryAt.getTime() - Date.now();
    if (wait < everyMs) setTimeout(() => this.#kick(), Math.max(0, wait) + 10).unref();
  }
}
