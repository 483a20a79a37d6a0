import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';

import { LineRetentionStore } from './line-retention.store.ts';
import type { LogsConfig } from './logs.config.ts';

const day = 86_400_000;

@Injectable()
export class PruneLinesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(
    private readonly retention: LineRetentionStore,
    @Inject(ROOM_CONFIG) private readonly config: LogsConfig,
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
      const every = this.config.CESTX_LOGS_PRUNE_SECONDS * 1000;
      await sleep(every, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const removed = await this.retention.prune({
          subscribed: this.config.CESTX_LOGS_KEEP_DAYS * day,
          unsubscribed: this.config.CESTX_LOGS_KEEP_UNSUBSCRIBED_DAYS * day,
          linesPerFunction: this.config.CESTX_LOGS_LINES_PER_FUNCTION,
        });
        if (removed > 0) this.logger.info({ removed }, 'old log lines removed');
      } catch (error) {
        this.logger.warn({ err: error }, 'old log lines could not be removed');
      }
    }
  }
}
