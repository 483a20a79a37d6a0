import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { feedLineSchema, logSubject } from '#contracts';
import { Feeds } from '#messaging';

import { LineWaiters } from './line-waiters.ts';
import { LogLineStore } from './log-line.store.ts';

const everyLine = logSubject('*', '*');
const retryMs = 500;
/** For a process that came second: how soon it looks whether the first one still reads. */
const standByMs = 5000;
/**
 * A broker that is killed may have lost its last messages and gives their numbers to new ones. So after every break we read
 * this many again; a line that was kept is known by its machine and position.
 */
const readAgain = 2000;

/**
 * Reads every line on the feed, in order, and keeps it. Where it is lies in PostgreSQL beside the lines, not in a consumer of
 * the broker: an acknowledgement can be lost, and a line would come twice or out of its order.
 *
 * Several processes of this room may run; all read, and the one that is first with a batch keeps it.
 */
@Injectable()
export class KeepLinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly feeds: Feeds,
    private readonly lines: LogLineStore,
    private readonly waiters: LineWaiters,
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
      let pause = retryMs;
      try {
        if ((await this.#follow()) === 'overtaken') pause = standByMs;
      } catch (error) {
        if (!signal.aborted) this.logger.warn({ err: error }, 'log lines are not being kept, trying again');
      }
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the link breaks or another process was faster. */
  async #follow(): Promise<'stopped' | 'overtaken'> {
    let place = await this.#startingPlace();
    const overtaken = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, overtaken.signal]);
    const start = Math.max(0, place - readAgain);
    await this.feeds.follow(everyLine, start, feedLineSchema, signal, async (items, last) => {
      const lines = items.map((item) => item.value);
      // What is read again does not move the place back: to others that would look as if somebody had overtaken them.
      const next = Math.max(place, last);
      if (!(await this.lines.keep(lines, place, next))) return overtaken.abort();
      place = next;
      this.waiters.wake(lines);
    });
    return overtaken.signal.aborted ? 'overtaken' : 'stopped';
  }

  async #startingPlace(): Promise<number> {
    const place = await this.lines.place();
    if (place <= (await this.feeds.end(everyLine))) return place;
    this.logger.warn({ place }, 'the log feed was made anew; reading it from its beginning');
    await this.lines.keep([], place, 0);
    return 0;
  }
}
