import { Controller } from '@nestjs/common';

import { ListMachines, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeMachine } from './describe-machine.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineStore } from './machine.store.ts';

@Controller()
export class ListMachinesQuery {
  constructor(
    private readonly machines: MachineStore,
    private readonly ages: MachineAges,
  ) {}

  @AnswerQuery(ListMachines)
  async answer(request: RequestOf<typeof ListMachines>): Promise<ResponseOf<typeof ListMachines>> {
    const rows = await this.machines.list(request);
    return { items: rows.map((row) => describeMachine(row, this.ages.expiresAt(row))) };
  }
}
