import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { asCestxError, MachineExited } from '#contracts';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { LogPump } from './log-pump.ts';
import { MachineRunner, stopGraceMs } from './machine-runner.ts';
import type { MachineExit } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';
import type { MachinesConfig } from './machines.config.ts';
import {
  backoffAfter,
  countExits,
  planMachines,
  type MachineAction,
  type WantedMachine,
} from './plan-machines.ts';
import { inMachineSpan, untraced } from './trace-driver.ts';

const everyMs = 5000;
/** Starts at a time: after a restart of the platform all functions come back at once. */
const maxStarts = 8;
const linesPatienceMs = 3000;

/** Keeps what runs in step with what should: at the start, every few seconds, and when a machine has ended. */
@Injectable()
export class ReconcileMachinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  readonly #acting = new Set<Promise<void>>();
  #starts = 0;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #again = false;
  #stopListening: (() => void) | null = null;

  constructor(
    private readonly machines: MachineStore,
    private readonly runner: MachineRunner,
    private readonly pump: LogPump,
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    @Inject(ROOM_CONFIG) private readonly config: MachinesConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const { driver, reason } = this.chosen;
    this.logger.info({ driver: driver.name, reason }, `machines run on ${driver.name}`);
    if (driver.warning) this.logger.warn(driver.warning);
    this.#stopListening = driver.onExit(() => this.#kick());
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
    this.#stopping.abort();
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
        if (row.state === 'running')
          await this.machines.markDown(tx, row, { state: 'stopped', restarts, retryAt: new Date(), reason });
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
    if (this.#stopping.signal.aborted) return;
    this.#again = true;
    this.#round ??= untraced(() => this.#rounds()).finally(() => {
      this.#round = null;
    });
  }

  async #rounds(): Promise<void> {
    while (this.#again && !this.#stopping.signal.aborted) {
      this.#again = false;
      try {
        await this.#reconcile();
      } catch (error) {
        this.logger.warn({ err: error }, 'machines could not be compared with what they should be');
      }
    }
  }

  async #reconcile(): Promise<void> {
    const seen = await this.chosen.driver.list();
    const rows = await this.machines.list();
    for (const action of planMachines(await this.#wanted(rows), seen, Date.now())) {
      if (this.runner.isBusy(action.id)) continue;
      if (action.kind === 'start' && this.#starts >= maxStarts) continue;
      const row = rows.find(({ id }) => id === action.id);
      if (action.kind === 'follow' && row) this.pump.follow(row);
      else this.#act(action);
    }
  }

  async #wanted(rows: MachineRow[]): Promise<WantedMachine[]> {
    const removed = await this.machines.removedAmong(rows.map(({ id }) => id));
    return rows.map((row) => ({ ...row, removed: removed.has(row.id) }));
  }

  /** Does it in the background: a slow start of one machine must not keep the others waiting. */
  #act(action: MachineAction): void {
    if (action.kind === 'start') this.#starts++;
    const acting = this.runner
      .exclusively(action.id, () => this.#perform(action))
      .catch((error: unknown) =>
        this.logger.warn({ err: error, machine: action.id }, `could not ${action.kind} a machine`),
      )
      .finally(() => {
        if (action.kind === 'start') this.#starts--;
        this.#acting.delete(acting);
      });
    this.#acting.add(acting);
  }

  /** Decides once more now that nobody else is at this machine: what was seen before may be over. */
  async #perform({ id, kind }: MachineAction): Promise<void> {
    const seen = await this.chosen.driver.inspect(id);
    const row = await this.machines.find(id);
    const wanted = await this.#wanted(row ? [row] : []);
    const action = planMachines(wanted, seen ? [seen] : [], Date.now())[0];
    if (action?.kind !== kind) return;
    if (action.kind === 'remove') {
      await this.runner.down(id, row);
      await this.machines.transaction((tx) => this.machines.forget(tx, id));
      return;
    }
    if (!row) return;
    if (action.kind === 'thaw') await this.chosen.driver.thaw(id);
    if (action.kind === 'move')
      await this.machines.transaction((tx) => this.machines.markRunning(tx, row, action.address));
    if (action.kind === 'start') await inMachineSpan('start machine again', id, () => this.#startAgain(row));
    if (action.kind === 'note-exit') {
      if (seen) this.pump.follow(row);
      await this.pump.finished(id, linesPatienceMs);
      await this.#noteExit(row, action.exit, `The program ${action.exit?.reason ?? 'is gone'}.`);
      this.#kick();
    }
  }

  async #startAgain(row: MachineRow): Promise<void> {
    try {
      const address = await this.runner.up(row, this.#stopping.signal);
      await this.machines.transaction((tx) => this.machines.markRunning(tx, row, address));
      this.logger.info({ machine: row.id, function: row.function }, 'machine runs again');
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const cestx = asCestxError(error);
      // A platform in trouble says nothing about the function.
      if (cestx.retryable || cestx.code === 'undone') throw error;
      await this.#noteExit(row, null, cestx.message);
    }
    this.#kick();
  }

  async #noteExit(row: MachineRow, exit: MachineExit | null, reason: string): Promise<void> {
    const restarts = exit?.withPlatform
      ? row.restarts
      : countExits(row.restarts, row.runningSince, Date.now());
    const wait = exit?.withPlatform ? 0 : backoffAfter(restarts);
    const exitCode = exit?.code ?? null;
    const lastLines = this.pump.lastLines(row.id);
    await this.machines.transaction(async (tx) => {
      const change = { state: 'failed', restarts, retryAt: new Date(Date.now() + wait), reason } as const;
      if (!(await this.machines.markDown(tx, row, change))) return;
      const { id: machineId, project, function: name } = row;
      await tx.emit(MachineExited, machineId, {
        machineId,
        project,
        function: name,
        exitCode,
        reason,
        lastLines,
      });
    });
    this.logger.warn({ machine: row.id, function: row.function, reason, restarts }, 'machine exited');
    // The rhythm of the loop is too slow for the first tries.
    if (wait < everyMs) setTimeout(() => this.#kick(), wait + 10).unref();
  }
}
