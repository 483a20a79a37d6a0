import { Controller } from '@nestjs/common';

import { CestxError, WakeFunction, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { MachineStore } from './machine.store.ts';

/** Machines do not rest yet, so there is none to wake: says which one runs, and who asks comes again. */
@Controller()
export class WakeFunctionQuery {
  constructor(private readonly machines: MachineStore) {}

  @AnswerQuery(WakeFunction)
  async answer(asked: RequestOf<typeof WakeFunction>): Promise<ResponseOf<typeof WakeFunction>> {
    const rows = await this.machines.list(asked);
    const row = rows.find(({ revision, state }) => revision === asked.revision && state === 'running');
    if (!row?.address) throw new CestxError('unavailable', 'The function has no machine that runs.');
    const { id: machine, revision, address, settings } = row;
    return {
      endpoint: { machine, revision, address, state: 'ready', concurrency: settings.concurrency },
      from: 'running',
      ms: 0,
    };
  }
}
