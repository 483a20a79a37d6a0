import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { Objects } from '#messaging';

import { BuildStore } from './build.store.ts';
import { uploadPrefix } from './object-names.ts';
import { SourceStore } from './source.store.ts';

const minute = 60_000;
const everyMs = 10 * minute;
const uploadAge = 60 * minute;
/** No command is on its way for longer than this. */
const buildAge = 24 * 60 * minute;

/** Removes uploads whose sender died before they were accepted, and rows that nobody asks for any more. */
@Injectable()
export class RemoveLeftoversLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(
    private readonly objects: Objects,
    private readonly builds: BuildStore,
    private readonly sources: SourceStore,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const round = () => {
      this.#round = this.removeOlderThan(
        new Date(Date.now() - uploadAge),
        new Date(Date.now() - buildAge),
      ).catch((error: unknown) =>
        this.logger.warn({ err: error }, 'leftovers could not be removed; trying again later'),
      );
    };
    this.#timer = setInterval(round, everyMs);
    round();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  async removeOlderThan(uploads: Date, rows: Date): Promise<void> {
    for (const upload of await this.objects.list(uploadPrefix)) {
      if (upload.modifiedAt < uploads) await this.objects.remove(upload.name);
    }
    await this.sources.forgetUploads(rows);
    await this.builds.forgetOld(rows);
  }
}
