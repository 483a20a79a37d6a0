import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { asCestxError, callSubject } from '#contracts';
import { EventStreams } from '#messaging';

import { callsStream } from './consumer-names.ts';
import { fireTick } from './fire-tick.ts';
import { planTicks } from './plan-ticks.ts';
import type { TriggerRow } from './trigger.entity.ts';
import { TriggerStore } from './trigger.store.ts';

/** Milliseconds between looks; a tick is fired at most this late. */
const lookMs = 250;
const perLook = 100;

/**
 * Puts a call in line for each tick of each schedule. The row is locked while that is done and its next tick is written with it,
 * so of several processes one fires it; a tick has one message id, so one that was cut off between the two is stored once.
 */
@Injectable()
export class FireSchedulesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly triggers: TriggerStore,
    private readonly streams: EventStreams,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#running = this.#run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        while ((await this.#look()) === perLook) signal.throwIfAborted();
      } catch (error) {
        if (!signal.aborted)
          this.logger.warn({ err: error }, 'schedules could not be looked at, trying again');
      }
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A tick lies in its stream until the function has dealt with it. */
  async #overlaps({ project, function: name, id, settings }: TriggerRow): Promise<boolean> {
    if (settings.kind !== 'schedule' || settings.overlap !== 'forbid') return false;
    return (await this.streams.last(callsStream, callSubject(project, name, 'tick', id))) !== null;
  }

  /** How many schedules were due. */
  #look(): Promise<number> {
    return this.triggers.transaction(async (tx) => {
      const now = new Date();
      const due = await this.triggers.due(tx, now, perLook);
      for (const row of due) {
        if (row.settings.kind !== 'schedule' || !row.nextAt) continue;
        try {
          const { fire, next } = planTicks(row.settings, row.nextAt, now);
          if (!(await this.#overlaps(row))) for (const tick of fire) await fireTick(tx, row, tick);
          await this.triggers.setNext(tx, row, next);
        } catch (error) {
          this.logger.warn({ err: error, trigger: row.id }, asCestxError(error).message);
          await this.triggers.setNext(tx, row, null);
        }
      }
      return due.length;
    });
  }
}
