import { Controller } from '@nestjs/common';

import { ListMachines, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeMachine } from './describe-machine.ts';
import { MachineStore } from './machine.store.ts';
import { RouteTable } from './route-table.ts';

@Controller()
export class ListMachinesQuery {
  constructor(
    private readonly machines: MachineStore,
    private readonly routes: RouteTable,
  ) {}

  @AnswerQuery(ListMachines)
  async answer(request: RequestOf<typeof ListMachines>): Promise<ResponseOf<typeof ListMachines>> {
    const rows = await this.machines.list(request);
    return { items: rows.map((row) => describeMachine(row, this.routes.scaleOf(row)?.expiresAfter)) };
  }
}
