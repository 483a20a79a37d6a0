import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { GetDriver } from '#contracts';
import { Messenger } from '#messaging';

import { BuildQueue } from './build-queue.ts';
import { BuildStore } from './build.store.ts';
import { Builders } from './builders/builders.ts';
import { ImageRegistry } from './builders/image-registry.ts';
import type { TemplatesConfig } from './templates.config.ts';

const everyMs = 10 * 60_000;

/**
 * Keeps what builds leave on the disk below a budget. Caches go first, then pulled images of functions that are gone; never
 * what a revision is made of, however much that takes. While it removes, no build runs.
 */
@Injectable()
export class CollectCachesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;

  constructor(
    private readonly builds: BuildStore,
    private readonly builders: Builders,
    private readonly images: ImageRegistry,
    private readonly queue: BuildQueue,
    private readonly messenger: Messenger,
    @Inject(ROOM_CONFIG) private readonly config: Pick<TemplatesConfig, 'CESTX_DISK_BUDGET'>,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => this.#start(), everyMs);
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  async collect(): Promise<void> {
    const { driver } = await this.messenger.ask(GetDriver, {});
    const builder = this.builders.of(driver);
    const budget = this.config.CESTX_DISK_BUDGET;
    if ((await builder.diskUse()) <= budget) return;
    await this.queue.whileResting(async () => {
      await builder.trimCaches(await this.builds.projects(), budget);
      for (const artifact of await this.builds.unusedImages()) {
        if (artifact.kind !== 'image' || (await builder.diskUse()) <= budget) break;
        await this.images.drop(artifact);
        await this.builds.forgetUnused(artifact);
      }
    });
    const bytes = await builder.diskUse();
    if (bytes > budget) this.logger.warn({ budget, bytes }, 'what revisions need is over the disk budget');
  }

  #start(): void {
    this.#round ??= this.collect()
      .catch((error: unknown) =>
        this.logger.warn({ err: error }, 'caches could not be collected; trying again later'),
      )
      .finally(() => (this.#round = undefined));
  }
}
