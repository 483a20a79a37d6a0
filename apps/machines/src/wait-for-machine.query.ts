import { Controller } from '@nestjs/common';

import { CestxError, WaitForMachine, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeMachine } from './describe-machine.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';

/** Answers with the change itself, not the next time somebody looks. */
@Controller()
export class WaitForMachineQuery {
  constructor(
    private readonly book: MachineBook,
    private readonly ages: MachineAges,
  ) {}

  @AnswerQuery(WaitForMachine)
  async answer({
    machineId,
    state,
    timeoutMs,
  }: RequestOf<typeof WaitForMachine>): Promise<ResponseOf<typeof WaitForMachine>> {
    let last: MachineRow | null = null;
    const there = await this.book.until(() => {
      const row = this.book.get(machineId);
      // One that is gone gets into no other state: whoever waits for one hears of that at once.
      if (!row) return 'gone' as const;
      last = row;
      return row.state === state ? row : undefined;
    }, timeoutMs);
    const seen = last as MachineRow | null;
    if (there === null)
      throw new CestxError(
        'wait-timeout',
        `The machine ${machineId} is ${seen?.state ?? 'gone'}, and did not get ${state} within ${timeoutMs / 1000} s.`,
      );
    if (there !== 'gone') return this.#describe(there);
    if (!seen) throw new CestxError('not-found', `There is no machine ${machineId}.`);
    if (state !== 'removed')
      throw new CestxError('not-found', `The machine ${machineId} was removed before it got ${state}.`);
    return this.#describe({ ...seen, state: 'removed', address: null, since: new Date(), reason: null });
  }

  #describe(row: MachineRow): ResponseOf<typeof WaitForMachine> {
    return describeMachine(row, this.ages.expiresAt(row));
  }
}
