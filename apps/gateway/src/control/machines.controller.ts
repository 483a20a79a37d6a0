import { Controller } from '@nestjs/common';

import { GetDriver, ListMachines, ListRoutes } from '#contracts';
import { Messenger } from '#messaging';

import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

@Controller()
export class MachinesController {
  private readonly messenger: Messenger;

  constructor(messenger: Messenger) {
    this.messenger = messenger;
  }

  @Serves(operations.listMachines)
  async machines(@Input(operations.listMachines) { query }: InputOf<typeof operations.listMachines>) {
    return { ...(await this.messenger.ask(ListMachines, query)), nextCursor: null };
  }

  @Serves(operations.getDriver)
  async driver() {
    return this.messenger.ask(GetDriver, {});
  }

  @Serves(operations.listRoutes)
  async routes(@Input(operations.listRoutes) { query }: InputOf<typeof operations.listRoutes>) {
    return { ...(await this.messenger.ask(ListRoutes, query)), nextCursor: null };
  }
}
