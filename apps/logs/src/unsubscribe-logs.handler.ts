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
        const { createdBy } = command;
        // A deployment that failed leaves its lines: they say why. A function that goes takes them along.
        if (createdBy !== null) return this.subscriptions.takeBack(tx, command, createdBy);
        await this.subscriptions.remove(tx, command);
        await this.lines.forget(tx, command);
      },
    };
  }
}
