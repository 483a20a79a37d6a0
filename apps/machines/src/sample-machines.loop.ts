import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { statsSubject } from '#contracts';
import { Feeds } from '#messaging';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { describeSample, type Reading } from './describe-sample.ts';
import { MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';
import type { MachinesConfig } from './machines.config.ts';

/** Machines looked at side by side. */
const atOnce = 16;

/** Reads what every running machine uses, every few seconds, and tells it on the feed: for who listens now, and kept for a day. */
@Injectable()
export class SampleMachinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #before = new Map<string, Reading>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;

  constructor(
    private readonly book: MachineBook,
    private readonly feeds: Feeds,
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    @Inject(ROOM_CONFIG) private readonly config: MachinesConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      // A round that takes longer than the time between two is not overtaken.
      this.#round ??= this.#sampleAll().finally(() => (this.#round = null));
    }, this.config.CESTX_SAMPLE_MS);
  }

  async beforeApplicationShutdown(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.#round;
  }

  async #sampleAll(): Promise<void> {
    const running = this.book.all().filter(({ state }) => state === 'running');
    const ids = new Set(running.map(({ id }) => id));
    for (const id of this.#before.keys()) if (!ids.has(id)) this.#before.delete(id);
    for (let from = 0; from < running.length; from += atOnce) {
      const told = running.slice(from, from + atOnce).map((machine) => this.#sample(machine));
      for (const { reason } of (await Promise.allSettled(told)).filter((one) => one.status === 'rejected'))
        this.logger.debug({ err: reason as unknown }, 'a machine was not measured');
    }
  }

  async #sample(machine: MachineRow): Promise<void> {
    const usage = await this.chosen.driver.stats(machine.id);
    if (!usage) return;
    const reading = { usage, atMs: performance.now() };
    const sample = describeSample(machine, reading, this.#before.get(machine.id), new Date());
    this.#before.set(machine.id, reading);
    await this.feeds.publish(statsSubject(machine.project, machine.function, machine.id), sample);
  }
}
