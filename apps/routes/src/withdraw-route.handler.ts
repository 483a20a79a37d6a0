import { Controller } from '@nestjs/common';

import { WithdrawRoute, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { RouteStore } from './route.store.ts';

@Controller()
export class WithdrawRouteHandler {
  constructor(private readonly routes: RouteStore) {}

  @HandleCommand(WithdrawRoute)
  async handle(command: PayloadOf<typeof WithdrawRoute>): Promise<Outcome<typeof WithdrawRoute>> {
    const done = { withdrawn: false };
    return {
      done,
      // Only under the lock is it sure whether the registration that is being undone has happened.
      write: async (tx) => {
        const present = await this.routes.lock(tx, command);
        // A deployment that failed takes back only what it brought: an earlier one may be living behind this name.
        const isTheirs = command.createdBy === null || present?.createdBy === command.createdBy;
        if (!present || !isTheirs) return;
        await this.routes.remove(tx, command);
        done.withdrawn = true;
      },
    };
  }
}
