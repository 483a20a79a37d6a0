import { Controller, Inject } from '@nestjs/common';

import { CestxError, StartMachine, type PayloadOf } from '#contracts';
import { HandleCommand, type MessageContext, type Outcome } from '#messaging';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import { MachineRunner } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';

/**
 * 1. The row is written before anything is made, so that whatever a kill leaves is known to belong to somebody.
 * 2. A start that fails leaves nothing but a tombstone with its reason, for the case that the command comes once more.
 */
@Controller()
export class StartMachineHandler {
  constructor(
    private readonly machines: MachineStore,
    private readonly runner: MachineRunner,
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
  ) {}

  @HandleCommand(StartMachine)
  handle(
    command: PayloadOf<typeof StartMachine>,
    context: MessageContext,
  ): Promise<Outcome<typeof StartMachine>> {
    return this.runner.exclusively(command.machineId, () => this.#start(command, context.signal));
  }

  async #start(
    command: PayloadOf<typeof StartMachine>,
    signal: AbortSignal,
  ): Promise<Outcome<typeof StartMachine>> {
    const began = Date.now();
    const { machineId: id, project, function: name, revision, artifact, settings } = command;
    const removed = await this.machines.findRemoved(id);
    if (removed?.failure) {
      const { code, message, lastLines } = removed.failure;
      throw new CestxError(code, message, lastLines ? { lastLines } : {});
    }
    const driver = this.chosen.driver.name;
    const machine = await this.machines.begin({
      id,
      project,
      function: name,
      revision,
      artifact,
      settings,
      driver,
    });
    try {
      const address = await this.runner.up(machine, signal);
      return {
        done: { machineId: id, address, ms: Date.now() - began },
        write: (tx) => this.machines.markRunning(tx, machine, address),
      };
    } catch (error) {
      if (error instanceof CestxError && !error.retryable && !signal.aborted)
        await this.#giveUp(machine, error);
      throw error;
    }
  }

  async #giveUp(machine: MachineRow, error: CestxError): Promise<void> {
    await this.runner.down(machine.id, machine);
    await this.machines.transaction(async (tx) => {
      await this.machines.entomb(tx, machine.id, error.toFailure());
      await this.machines.forgetFleetOf(tx, machine.id);
      await this.machines.forget(tx, machine.id);
    });
  }
}
