import { Controller } from '@nestjs/common';

import { ListMachines, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { MachineStore } from './machine.store.ts';

@Controller()
export class ListMachinesQuery {
  constructor(private readonly machines: MachineStore) {}

  @AnswerQuery(ListMachines)
  async answer(request: RequestOf<typeof ListMachines>): Promise<ResponseOf<typeof ListMachines>> {
    const rows = await this.machines.list(request);
    return {
      items: rows.map(({ id, project, function: name, revision, driver, state, address, ...row }) => ({
        id,
        project,
        function: name,
        revision,
        driver,
        state,
        address,
        createdAt: row.createdAt.toISOString(),
        since: (row.runningSince ?? row.createdAt).toISOString(),
        reason: null,
        expiresAt: null,
      })),
    };
  }
}
