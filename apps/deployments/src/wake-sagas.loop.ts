import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';

import { DeploymentStore } from './deployment.store.ts';
import { SagaRunner } from './run-saga.ts';

/** Milliseconds between looks; how late a timeout may be noticed. */
const interval = 500;

/** Wakes the runs whose timeout or pause is over. Timers live in PostgreSQL, so a restart forgets none. */
@Injectable()
export class WakeSagasLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #store: DeploymentStore;
  readonly #runner: SagaRunner;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;

  constructor(store: DeploymentStore, runner: SagaRunner, @Inject(LOGGER) logger: Logger) {
    this.#store = store;
    this.#runner = runner;
    this.#logger = logger;
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.#turn ??= this.#wakeDue().finally(() => {
        this.#turn = undefined;
      });
    }, interval);
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer);
    await this.#turn;
  }

  async #wakeDue(): Promise<void> {
    try {
      for (const run of await this.#store.due(new Date())) {
        await this.#store.transaction((tx) => this.#runner.wake(tx, run.id));
      }
    } catch (error) {
      this.#logger.warn({ err: error }, 'could not look for due sagas, trying again');
    }
  }
}
