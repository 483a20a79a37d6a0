import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { Objects } from '#messaging';

import { digestIn, sourceName, sourcePrefix } from './object-names.ts';
import { SourceStore } from './source.store.ts';
import type { TemplatesConfig } from './templates.config.ts';

const longestPauseMs = 10 * 60_000;

/**
 * Removes sources that no build needs. The row goes first: a room killed right after leaves an object without a row, which
 * the next round finds like any other.
 */
@Injectable()
export class CollectSourcesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;

  constructor(
    private readonly objects: Objects,
    private readonly sources: SourceStore,
    @Inject(ROOM_CONFIG) private readonly config: Pick<TemplatesConfig, 'CESTX_SOURCE_GRACE'>,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Not at once: builds that were asked for while the room was away are to say first what they need. */
  onApplicationBootstrap(): void {
    const grace = this.config.CESTX_SOURCE_GRACE;
    this.#timer = setInterval(() => this.#start(grace), Math.min(longestPauseMs, grace));
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  async collectOlderThan(before: Date): Promise<void> {
    for (const digest of await this.sources.findUnused(before)) {
      await this.sources.forgetUnused(digest, before);
    }
    const objects = await this.objects.list(sourcePrefix);
    const old = objects.filter(({ modifiedAt }) => modifiedAt < before).map(({ name }) => digestIn(name));
    for (const digest of await this.sources.findForgotten(old, before)) {
      await this.sources.whileForgotten(digest, before, () => this.objects.remove(sourceName(digest)));
    }
  }

  #start(grace: number): void {
    this.#round ??= this.collectOlderThan(new Date(Date.now() - grace))
      .catch((error: unknown) =>
        this.logger.warn({ err: error }, 'unused sources could not be removed; trying again later'),
      )
      .finally(() => (this.#round = undefined));
  }
}
