import { setTimeout as delay } from 'node:timers/promises';

import { Controller } from '@nestjs/common';

import { DrainMachines, inFlightResponseSchema, inFlightSubject, type PayloadOf } from '#contracts';
import { HandleCommand, Messenger, type MessageContext, type Outcome } from '#messaging';

import { Demand } from './demand.ts';
import { MachineBook } from './machine-book.ts';
import { MachineRunner } from './machine-runner.ts';
import type { MachineRow } from './machine.entity.ts';
import { MachineStore } from './machine.store.ts';

const askEveryMs = 100;
const answerWithinMs = 250;

/** Out of traffic first, then the calls that are still under way may end, then the machines go. */
@Controller()
export class DrainMachinesHandler {
  constructor(
    private readonly machines: MachineStore,
    private readonly book: MachineBook,
    private readonly demand: Demand,
    private readonly runner: MachineRunner,
    private readonly messenger: Messenger,
  ) {}

  @HandleCommand(DrainMachines)
  async handle(
    command: PayloadOf<typeof DrainMachines>,
    context: MessageContext,
  ): Promise<Outcome<typeof DrainMachines>> {
    const { project, function: name, keepRevision, patience } = command;
    await this.machines.transaction((tx) => this.machines.forgetFleets(tx, command, keepRevision));
    const all = await this.machines.list({ project, function: name });
    const leaving = all.filter(({ revision }) => revision !== keepRevision);
    await this.machines.transaction(async (tx) => {
      for (const machine of leaving) {
        await this.machines.markDraining(tx, machine);
        tx.afterCommit(() => this.book.leave(machine.id));
        this.demand.forget(machine);
      }
    });
    const deadline = Date.now() + patience;
    await Promise.all(leaving.map((machine) => this.#drain(machine, deadline, context.signal)));
    return {
      done: { machineIds: leaving.map(({ id }) => id) },
      write: async (tx) => {
        for (const { id } of leaving) await this.machines.forget(tx, id);
      },
    };
  }

  async #drain(machine: MachineRow, deadline: number, signal: AbortSignal): Promise<void> {
    if (machine.state === 'running') await this.#untilIdle(machine, deadline, signal);
    await this.machines.transaction((tx) => this.machines.entomb(tx, machine.id));
    this.runner.abandonStart(machine.id);
    await this.runner.exclusively(machine.id, () => this.runner.down(machine.id, machine));
  }

  /** Nobody who answers is nobody who calls. */
  async #untilIdle(
    { project, function: name, id }: MachineRow,
    deadline: number,
    signal: AbortSignal,
  ): Promise<void> {
    while (Date.now() < deadline) {
      signal.throwIfAborted();
      const callers = await this.messenger.askAll(
        inFlightSubject,
        { project, function: name, machine: id },
        inFlightResponseSchema,
        { waitMs: answerWithinMs },
      );
      if (callers.every(({ calls, open }) => calls === 0 && !open)) return;
      await delay(askEveryMs, null, { signal });
    }
  }
}
