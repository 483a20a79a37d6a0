import { Controller } from '@nestjs/common';

import { RemoveTriggers, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { TriggerConsumers } from './trigger-consumers.ts';
import { TriggerStore } from './trigger.store.ts';

/** Rows first: while there are any, a consumer that is missing is made anew. */
@Controller()
export class RemoveTriggersHandler {
  constructor(
    private readonly triggers: TriggerStore,
    private readonly consumers: TriggerConsumers,
  ) {}

  @HandleCommand(RemoveTriggers)
  async handle(command: PayloadOf<typeof RemoveTriggers>): Promise<Outcome<typeof RemoveTriggers>> {
    const rows = await this.triggers.list(command);
    await this.triggers.transaction((tx) => this.triggers.remove(tx, command));
    await this.consumers.removeAll(
      command,
      rows.map(({ settings }) => settings),
    );
    return { done: {} };
  }
}
