import { Controller, Inject } from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { AdjustMachines, CestxError, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { ActivityBook } from './activity-book.ts';
import { Demand } from './demand.ts';
import { FunctionWaker } from './function-waker.ts';
import { MachineBook, type RevisionKey } from './machine-book.ts';
import { MachineRest } from './machine-rest.ts';
import type { MachineRow } from './machine.entity.ts';

/** Milliseconds a surplus machine may drain: longer than any call may take. */
const drainPatienceMs = 3_600_000;

/**
 * The order is a number, so it may come twice, or cut off and again. Going up it waits for the new machines; going down it
 * does not wait for the old ones: they take no new call, and a later order, or a call, may have them back.
 */
@Controller()
export class AdjustMachinesHandler {
  constructor(
    private readonly book: MachineBook,
    private readonly activity: ActivityBook,
    private readonly demand: Demand,
    private readonly waker: FunctionWaker,
    private readonly rest: MachineRest,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  @HandleCommand(AdjustMachines)
  async handle(command: PayloadOf<typeof AdjustMachines>): Promise<Outcome<typeof AdjustMachines>> {
    const wanted = Math.max(command.machines, this.demand.least(command));
    this.demand.order(command, wanted);
    const { up } = this.waker.upOrComing(command);
    this.#lower(up, up.length - wanted, command.reason);
    const reason = await this.#raise(command, wanted);
    return { done: { machines: this.#running(command), reason } };
  }

  /** Why there are not as many as wanted; null when there are. */
  async #raise(key: RevisionKey, wanted: number): Promise<string | null> {
    this.#takeBack(key, wanted);
    const { up, coming } = this.waker.upOrComing(key);
    const missing = Math.max(0, wanted - up.length - coming);
    const woken = await Promise.allSettled(
      Array.from({ length: missing }, () => this.waker.wakeAnother(key)),
    );
    await this.waker.untilSettled(key);
    const errors = woken.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    );
    const [error] = errors;
    if (error === undefined) return null;
    if (!(error instanceof CestxError) || error.retryable || error.code === 'not-found') throw error;
    return error.message;
  }

  /** Machines that still drain are the nearest ones. */
  #takeBack(key: RevisionKey, wanted: number): void {
    let missing = wanted - this.waker.upOrComing(key).up.length;
    for (const { id, state } of this.book.ofRevision(key))
      if (missing > 0 && state === 'running' && this.rest.isDraining(id) && this.rest.keepUp(id)) missing--;
  }

  #lower(up: readonly MachineRow[], surplus: number, reason: string): void {
    const byUse = up.toSorted((a, b) => this.activity.lastUse(a.id) - this.activity.lastUse(b.id));
    for (const { id } of byUse.slice(0, Math.max(0, surplus))) {
      const options = { from: 'running', patienceMs: drainPatienceMs } as const;
      void this.rest.rest(id, 'frozen', reason, options).catch((error: unknown) => {
        this.logger.warn({ err: error, machine: id }, 'a machine too many could not be put to rest');
      });
    }
  }

  /** Those that drain are on their way out. */
  #running(key: RevisionKey): number {
    return this.waker.upOrComing(key).up.length;
  }
}
