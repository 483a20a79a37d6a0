import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { routeEntrySchema, routesBucket } from '#contracts';
import { KeyValues } from '#messaging';

import { entryKey, entryOf, RouteStore } from './route.store.ts';

const everyMs = 3000;

/**
 * Writes copies in the KV bucket anew that differ from their rows.
 *
 * Normally there are none. But a broker that is killed, or came back without its data, may have lost a copy, or have stored two
 * of them in the wrong order when a publish was repeated; calls would then go to a revision that is gone, for ever.
 * A copy counts as wrong when it is found so twice: what was only just written may still be on its way.
 */
@Injectable()
export class MendEntriesLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  /** What callers see, as JSON. */
  readonly #copies = new Map<string, string>();
  #suspects = new Map<string, string>();
  #stopWatching: (() => Promise<void>) | undefined;
  #running: Promise<void> | undefined;

  constructor(
    private readonly routes: RouteStore,
    private readonly keyValues: KeyValues,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.#stopWatching = await this.keyValues.watch(routesBucket, routeEntrySchema, (key, entry) => {
      if (entry) this.#copies.set(key, JSON.stringify(entry));
      else this.#copies.delete(key);
    });
    this.#running = this.#run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    await this.#stopWatching?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#mend();
      } catch (error) {
        this.logger.warn({ err: error }, 'the copies of the routes could not be compared');
      }
    }
  }

  async #mend(): Promise<void> {
    const wrong = await this.#differences();
    for (const [key, difference] of wrong) {
      if (this.#suspects.get(key) !== difference) continue;
      const [project = '', name = ''] = key.split('.');
      await this.routes.republish({ project, function: name });
      this.logger.warn({ key }, 'the copy of a route was wrong and has been written anew');
    }
    this.#suspects = wrong;
  }

  /** The keys whose copy is not what the row says, with how they differ. */
  async #differences(): Promise<Map<string, string>> {
    const rows = new Map<string, string>();
    for (const row of await this.routes.list()) {
      rows.set(entryKey(row), JSON.stringify(routeEntrySchema.parse(entryOf(row))));
    }
    const differences = new Map<string, string>();
    for (const key of new Set([...rows.keys(), ...this.#copies.keys()])) {
      const [row, copy] = [rows.get(key), this.#copies.get(key)];
      if (row !== copy) differences.set(key, `${copy} instead of ${row}`);
    }
    return differences;
  }
}
