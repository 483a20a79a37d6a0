import { Controller } from '@nestjs/common';

import { UnsubscribeLogs, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { LogLineStore } from './log-line.store.ts';
import { SubscriptionStore } from './subscription.store.ts';

@Controller()
export class UnsubscribeLogsHandler {
  constructor(
    private readonly subscriptions: SubscriptionStore,
    private readonly lines: LogLineStore,
  ) {}

  @HandleCommand(UnsubscribeLogs)
  async handle(command: PayloadOf<typeof UnsubscribeLogs>): Promise<Outcome<typeof UnsubscribeLogs>> {
    return {
      done: {},
      write: async (tx) => {
        await this.subscriptions.unsubscribe(tx, command, command.createdBy);
        // A deployment that failed leaves its lines: they say why. A function that goes takes them along.
        if (command.createdBy === null) await this.lines.forget(tx, command);
      },
    };
  }
}
