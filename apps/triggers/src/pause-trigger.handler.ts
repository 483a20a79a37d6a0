import { Controller } from '@nestjs/common';

import { CestxError, PauseTrigger, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { nextTick } from './plan-ticks.ts';
import { TriggerStore } from './trigger.store.ts';

@Controller()
export class PauseTriggerHandler {
  constructor(private readonly triggers: TriggerStore) {}

  @HandleCommand(PauseTrigger)
  async handle(command: PayloadOf<typeof PauseTrigger>): Promise<Outcome<typeof PauseTrigger>> {
    const { triggerId, paused } = command;
    const row = await this.triggers.find(command, triggerId);
    if (!row) throw new CestxError('not-found', `${command.function} has no trigger ${triggerId}.`);
    // Ticks of the time a schedule was paused are not missed ones.
    const nextAt = row.settings.kind === 'schedule' ? nextTick(row.settings, new Date()) : null;
    return {
      done: { paused },
      write: (tx) => this.triggers.setPaused(tx, command, triggerId, paused, nextAt),
    };
  }
}
