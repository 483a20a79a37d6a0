import { Controller } from '@nestjs/common';

import { CestxError, GetMachine, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeMachine } from './describe-machine.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook } from './machine-book.ts';

@Controller()
export class GetMachineQuery {
  constructor(
    private readonly book: MachineBook,
    private readonly ages: MachineAges,
  ) {}

  @AnswerQuery(GetMachine)
  answer({ machineId }: RequestOf<typeof GetMachine>): Promise<ResponseOf<typeof GetMachine>> {
    const row = this.book.get(machineId);
    if (!row) return Promise.reject(new CestxError('not-found', `There is no machine ${machineId}.`));
    return Promise.resolve(describeMachine(row, this.ages.expiresAt(row)));
  }
}
