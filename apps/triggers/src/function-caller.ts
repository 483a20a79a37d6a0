import { Inject, Injectable, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';

import { ROOM_CONFIG } from '#boot';
import { Invoker, type FunctionAnswer, type Target } from '#invocation';
import { KeyValues, Messenger } from '#messaging';

import type { FunctionKey } from './consumer-names.ts';
import type { TriggersConfig } from './triggers.config.ts';

/** How many calls may wait for machines at a time; no more messages are taken than there are hands for. */
const maxHeld = 100_000;

/** Calls functions, and wakes those at rest, as the gateway does. */
@Injectable()
export class FunctionCaller implements OnModuleInit, BeforeApplicationShutdown {
  readonly #invoker: Invoker;

  constructor(
    private readonly keyValues: KeyValues,
    private readonly messenger: Messenger,
    @Inject(ROOM_CONFIG) config: TriggersConfig,
  ) {
    this.#invoker = new Invoker({
      maxBody: 0,
      holdFor: config.CESTX_EVENT_HOLD_MS,
      maxHeld,
      trustProxy: false,
    });
  }

  async onModuleInit(): Promise<void> {
    await this.#invoker.watch(this.keyValues, this.messenger);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#invoker.close();
  }

  /** Undefined while the function cannot be called at all. */
  find({ project, function: name }: FunctionKey): Target | undefined {
    return this.#invoker.table.byName(project, name);
  }

  /** Throws what kept the function from answering. */
  send(target: Target, request: Parameters<Invoker['send']>[1]): Promise<FunctionAnswer> {
    return this.#invoker.send(target, request);
  }
}
