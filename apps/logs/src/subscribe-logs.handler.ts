import { Controller } from '@nestjs/common';

import { SubscribeLogs, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { SubscriptionStore } from './subscription.store.ts';

/**
 * Makes the lines of a function worth keeping for as long as it lives. They are kept from the first one in any case, for a
 * while: a start that fails never gets as far as this, and its lines are the ones somebody wants to read.
 */
@Controller()
export class SubscribeLogsHandler {
  constructor(private readonly subscriptions: SubscriptionStore) {}

  @HandleCommand(SubscribeLogs)
  async handle(command: PayloadOf<typeof SubscribeLogs>): Promise<Outcome<typeof SubscribeLogs>> {
    const done = { created: false };
    return {
      done,
      write: async (tx) => {
        const creator = await this.subscriptions.subscribe(tx, command, command.deploymentId);
        done.created = creator === command.deploymentId;
      },
    };
  }
}
