import { Controller } from '@nestjs/common';

import { SetTriggers, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { nextTick } from './plan-ticks.ts';
import { TriggerConsumers } from './trigger-consumers.ts';
import { TriggerStore } from './trigger.store.ts';

/** Consumers first, so that no event is missed from here on; then the rows, by which they are read; then those that went. */
@Controller()
export class SetTriggersHandler {
  constructor(
    private readonly triggers: TriggerStore,
    private readonly consumers: TriggerConsumers,
  ) {}

  @HandleCommand(SetTriggers)
  async handle(command: PayloadOf<typeof SetTriggers>): Promise<Outcome<typeof SetTriggers>> {
    const { triggers, delivery } = command;
    const now = new Date();
    const wanted = triggers.map((settings) => ({
      settings,
      nextAt: settings.kind === 'schedule' ? nextTick(settings, now) : null,
    }));
    const before = await this.triggers.list(command);
    await this.consumers.ensure(command, null);
    for (const trigger of triggers) await this.consumers.ensure(command, trigger);
    await this.triggers.transaction((tx) => this.triggers.set(tx, command, delivery, wanted));
    const kept = new Set(triggers.map(({ id }) => id));
    for (const { settings } of before) {
      if (!kept.has(settings.id)) await this.consumers.remove(command, settings);
    }
    return { done: { triggers: triggers.length } };
  }
}
