import { Controller } from '@nestjs/common';

import { RestoreTraffic, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { RouteStore } from './route.store.ts';

/** Without a previous revision the route stays, with no traffic: its host answers that nothing is live, until it is withdrawn. */
@Controller()
export class RestoreTrafficHandler {
  constructor(private readonly routes: RouteStore) {}

  @HandleCommand(RestoreTraffic)
  async handle(command: PayloadOf<typeof RestoreTraffic>): Promise<Outcome<typeof RestoreTraffic>> {
    const { revision, previous, timeout, concurrency, scale } = command;
    return {
      done: {},
      write: async (tx) => {
        const present = await this.routes.lock(tx, command);
        // The shift may never have happened, or a later one may have replaced it: then there is nothing to give back.
        if (!present?.traffic.some((share) => share.revision === revision)) return;
        const traffic = previous === null ? [] : [{ revision: previous, percent: 100 }];
        await this.routes.save(tx, { ...present, traffic, timeout, concurrency, scale });
      },
    };
  }
}
