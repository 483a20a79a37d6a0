import { Controller } from '@nestjs/common';

import { CestxError, ShiftTraffic, type PayloadOf, type Traffic } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { RouteStore } from './route.store.ts';

@Controller()
export class ShiftTrafficHandler {
  constructor(private readonly routes: RouteStore) {}

  @HandleCommand(ShiftTraffic)
  async handle(command: PayloadOf<typeof ShiftTraffic>): Promise<Outcome<typeof ShiftTraffic>> {
    const { traffic, timeout, concurrency, scale } = command;
    refuseUnlessWhole(traffic);
    if (scale.min > scale.max)
      throw new CestxError(
        'bad-request',
        `scale.min (${scale.min}) is larger than scale.max (${scale.max}).`,
      );
    if (!(await this.routes.find(command))) {
      throw new CestxError('not-found', `${command.function} has no route to send traffic to.`);
    }
    const done: { previous: Traffic } = { previous: [] };
    return {
      done,
      write: async (tx) => {
        const present = await this.routes.lock(tx, command);
        // Withdrawn since it was looked for; the next try finds that out above.
        if (!present) throw new CestxError('conflict', 'The route was withdrawn.', { retryable: true });
        done.previous = present.traffic;
        await this.routes.save(tx, { ...present, traffic, timeout, concurrency, scale });
      },
    };
  }
}

function refuseUnlessWhole(traffic: Traffic): void {
  const revisions = new Set(traffic.map((share) => share.revision));
  if (revisions.size !== traffic.length) {
    throw new CestxError('bad-request', 'A revision may stand only once in the traffic.');
  }
  const sum = traffic.reduce((total, share) => total + share.percent, 0);
  // Thirds do not add up to 100 exactly.
  if (traffic.length > 0 && Math.abs(sum - 100) > 0.1) {
    throw new CestxError('bad-request', `The shares of the traffic add up to ${sum}, not to 100 percent.`);
  }
}
