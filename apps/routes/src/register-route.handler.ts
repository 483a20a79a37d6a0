import { Controller, Inject } from '@nestjs/common';

import { ROOM_CONFIG } from '#boot';
import { defaultScale, RegisterRoute, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { hostName } from './host-name.ts';
import { RouteStore } from './route.store.ts';
import type { RoutesConfig } from './routes.config.ts';

/** Before its first ShiftTraffic says otherwise. */
const defaultTimeout = 30_000;

/**
 * A route that is there stays as it is, with its traffic: each deployment of a function registers it anew.
 * A new one has no traffic yet; callers know the host from now on and answer that nothing is live behind it.
 */
@Controller()
export class RegisterRouteHandler {
  constructor(
    private readonly routes: RouteStore,
    @Inject(ROOM_CONFIG) private readonly config: RoutesConfig,
  ) {}

  @HandleCommand(RegisterRoute)
  async handle(command: PayloadOf<typeof RegisterRoute>): Promise<Outcome<typeof RegisterRoute>> {
    const { project, function: name, deploymentId } = command;
    const host = hostName(command, this.config.CESTX_DOMAIN);
    const done = { host, created: true };
    return {
      done,
      // What there is is known only under the lock, so the outcome is completed there, before it is written.
      write: async (tx) => {
        const present = await this.routes.lock(tx, command);
        if (present) {
          done.host = present.host;
          done.created = present.createdBy === deploymentId;
          return;
        }
        await this.routes.save(tx, {
          project,
          function: name,
          host,
          traffic: [],
          timeout: defaultTimeout,
          concurrency: 0,
          scale: defaultScale,
          createdBy: deploymentId,
        });
      },
    };
  }
}
