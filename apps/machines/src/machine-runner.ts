import { Inject, Injectable } from '@nestjs/common';

import { ROOM_CONFIG } from '#boot';
import { CestxError } from '#contracts';

import { Admission } from './admission.ts';
import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { explainNotReady } from './explain-not-ready.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { LogPump } from './log-pump.ts';
import { specOf } from './machine-environment.ts';
import type { MachineRow } from './machine.entity.ts';
import type { MachinesConfig } from './machines.config.ts';
import { inMachineSpan, untraced } from './trace-driver.ts';
import { waitUntilReady, type Readiness } from './wait-until-ready.ts';

/** From SIGTERM to SIGKILL. */
export const stopGraceMs = 10_000;
/** For the last lines of an exited machine to reach the feed. */
const linesPatienceMs = 5000;
const portAttempts = 3;

/**
 * Brings machines up and takes them down; commands and the loop both do it through here.
 * Who changes the state of a machine holds its lock (`exclusively`).
 */
@Injectable()
export class MachineRunner {
  readonly #mutex = new KeyedMutex();
  readonly #starting = new Map<string, AbortController>();
  readonly #stopping = new AbortController();
  #onSuspicion: (() => void) | null = null;

  constructor(
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    @Inject(ROOM_CONFIG) private readonly config: MachinesConfig,
    private readonly pump: LogPump,
    private readonly admission: Admission,
  ) {}

  exclusively<T>(id: string, work: () => Promise<T>): Promise<T> {
    return this.#mutex.run(id, work);
  }

  /** Aborted when the room stops: what takes long ends, and nothing new begins. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Ends what is under way. Resolves when no lock is held any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(
      new CestxError('unavailable', 'The machines room is stopping.', { retryable: true }),
    );
    await this.#mutex.idle();
  }

  /** Has the machines looked at now: one is not what its row says. */
  suspect(): void {
    this.#onSuspicion?.();
  }

  onSuspicion(listener: () => void): void {
    this.#onSuspicion = listener;
  }

  isBusy(id: string): boolean {
    return this.#mutex.isBusy(id);
  }

  /** Ends a start that is under way, because its machine is not wanted any more. */
  abandonStart(id: string): void {
    this.#starting
      .get(id)
      ?.abort(new CestxError('undone', `The machine ${id} was removed while it started.`));
  }

  /**
   * Creates and starts it as far as that is still to do, and waits until it can be called; resolves to its address.
   * Throws `start-failed` with the last lines; what is there then is left to the caller to take down. Throws `no-capacity` or
   * `over-quota` before anything is made.
   */
  up(machine: MachineRow, signal: AbortSignal): Promise<string> {
    return this.admission.within(machine, () => this.#bringUp(machine, signal));
  }

  async #bringUp(machine: MachineRow, signal: AbortSignal): Promise<string> {
    const { driver } = this.chosen;
    const abandoned = new AbortController();
    this.#starting.set(machine.id, abandoned);
    const either = AbortSignal.any([signal, abandoned.signal, this.#stopping.signal]);
    try {
      await driver.create(specOf(machine, this.config.OTEL_EXPORTER_OTLP_ENDPOINT));
      for (let attempt = 1; ; attempt++) {
        either.throwIfAborted();
        await driver.start(machine.id).catch((error: unknown) => {
          throw asStartFailed(error);
        });
        this.pump.follow(machine);
        const readiness = await inMachineSpan('wait until ready', machine.id, () =>
          untraced(() => waitUntilReady(driver, machine.id, machine.settings.health, either)),
        );
        if (readiness.kind === 'ready') return readiness.address;
        if (readiness.kind === 'exited' && readiness.exit?.portTaken && attempt < portAttempts) continue;
        throw await this.#failure(machine, readiness);
      }
    } finally {
      this.#starting.delete(machine.id);
    }
  }

  /** Stops and removes it, after its last lines went to the feed. Does nothing when there is nothing. */
  async down(id: string, machine: MachineRow | null): Promise<void> {
    const { driver } = this.chosen;
    await driver.stop(id, stopGraceMs);
    // It may have been started by an earlier life of this room, which got no further with its lines than the feed says.
    if (machine && (await driver.inspect(id))) this.pump.follow(machine);
    await this.pump.finished(id, linesPatienceMs);
    await driver.remove(id);
    this.pump.forget(id);
  }

  async #failure(machine: MachineRow, readiness: Exclude<Readiness, { kind: 'ready' }>): Promise<CestxError> {
    const { startup } = machine.settings.health;
    const message = explainNotReady(readiness, { fixedPort: this.chosen.driver.port, startup });
    if (readiness.kind !== 'exited') await this.chosen.driver.stop(machine.id, 1000);
    await this.pump.finished(machine.id, linesPatienceMs);
    return new CestxError('start-failed', message, { lastLines: this.pump.lastLines(machine.id) });
  }
}

/** What the engine refuses for good (a command that is not in the image, say) is the function's fault and no passing one. */
function asStartFailed(error: unknown): unknown {
  if (error instanceof CestxError || !(error instanceof Error)) return error;
  if (
    !/executable file not found|no such file or directory|permission denied|exec format error/i.test(
      error.message,
    )
  )
    return error;
  return new CestxError('start-failed', `The program could not be started: ${lastSentence(error.message)}`, {
    cause: error,
  });
}

/** Engines wrap the reason in layers of their own words; the end is what helps. */
function lastSentence(text: string): string {
  return (/exec: .*$/s.exec(text)?.[0] ?? text).trim().slice(0, 300);
}
