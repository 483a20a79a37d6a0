import { Controller } from '@nestjs/common';

import { RemoveMachine, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { MachineRunner } from './machine-runner.ts';
import { MachineStore } from './machine.store.ts';

/** The tombstone comes first: a start of this machine that is under way or yet to come finds it and gives up. */
@Controller()
export class RemoveMachineHandler {
  constructor(
    private readonly machines: MachineStore,
    private readonly runner: MachineRunner,
  ) {}

  @HandleCommand(RemoveMachine)
  async handle({
    machineId,
    keepRevision,
  }: PayloadOf<typeof RemoveMachine>): Promise<Outcome<typeof RemoveMachine>> {
    await this.machines.transaction(async (tx) => {
      await this.machines.entomb(tx, machineId);
      if (!keepRevision) await this.machines.forgetFleetOf(tx, machineId);
    });
    this.runner.abandonStart(machineId);
    await this.runner.exclusively(machineId, async () =>
      this.runner.down(machineId, await this.machines.find(machineId)),
    );
    return { done: { machineId }, write: (tx) => this.machines.forget(tx, machineId) };
  }
}
