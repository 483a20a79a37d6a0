import { Controller, Headers, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import {
  CestxError,
  GetCapacity,
  GetDriver,
  GetMachine,
  ListMachines,
  ListMachineSamples,
  ListRoutes,
  MoveMachine,
  RemoveMachine,
  WaitForMachine,
  type Machine,
} from '#contracts';
import { Messenger } from '#messaging';

import { carryOut } from './carry-out.ts';
import { followSamples } from './follow-samples.ts';
import { OpenAnswers } from './open-answers.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

/** Milliseconds for a change of one machine: calls in flight, its start, or its grace when it is stopped. */
const patience = 60_000;

@Controller()
export class MachinesController {
  private readonly messenger: Messenger;
  private readonly answers: OpenAnswers;

  constructor(messenger: Messenger, answers: OpenAnswers) {
    this.messenger = messenger;
    this.answers = answers;
  }

  @Serves(operations.listMachines)
  machines(@Input(operations.listMachines) { query }: InputOf<typeof operations.listMachines>) {
    return this.messenger.ask(ListMachines, query);
  }

  @Serves(operations.getMachine)
  machine(@Input(operations.getMachine) { params }: InputOf<typeof operations.getMachine>) {
    return this.messenger.ask(GetMachine, { machineId: params.id });
  }

  @Serves(operations.startMachine)
  start(@Input(operations.startMachine) { params }: InputOf<typeof operations.startMachine>) {
    return this.move(params.id, 'running');
  }

  @Serves(operations.thawMachine)
  thaw(@Input(operations.thawMachine) { params }: InputOf<typeof operations.thawMachine>) {
    return this.move(params.id, 'running');
  }

  @Serves(operations.freezeMachine)
  freeze(@Input(operations.freezeMachine) { params }: InputOf<typeof operations.freezeMachine>) {
    return this.move(params.id, 'frozen');
  }

  @Serves(operations.stopMachine)
  stop(@Input(operations.stopMachine) { params }: InputOf<typeof operations.stopMachine>) {
    return this.move(params.id, 'stopped');
  }

  /** Asked about first, because a removal of any id would be noted for good; and stopped first, for the calls in flight. */
  @Serves(operations.removeMachine)
  async remove(@Input(operations.removeMachine) { params }: InputOf<typeof operations.removeMachine>) {
    const machineId = params.id;
    let machine = await this.messenger.ask(GetMachine, { machineId });
    if (machine.state === 'running' || machine.state === 'frozen') {
      machine = await this.move(machineId, 'stopped');
      if (machine.state === 'running')
        throw new CestxError(
          'conflict',
          `The machine ${machineId} is in use; remove it when its calls are over.`,
        );
    }
    await carryOut(this.messenger, RemoveMachine, { machineId, keepRevision: true }, patience);
    return { ...machine, state: 'removed' as const, address: null, since: new Date().toISOString() };
  }

  @Serves(operations.waitForMachine)
  wait(@Input(operations.waitForMachine) { params, query }: InputOf<typeof operations.waitForMachine>) {
    const { state, timeout } = query;
    return this.messenger.ask(
      WaitForMachine,
      { machineId: params.id, state, timeoutMs: timeout },
      { timeoutMs: timeout + 5000 },
    );
  }

  @Serves(operations.getMachineStats)
  async stats(
    @Input(operations.getMachineStats) { params, query }: InputOf<typeof operations.getMachineStats>,
    @Headers('accept') accept: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { since, limit, follow } = query;
    const asked = { machineId: params.id, since, limit };
    if (!follow) {
      const { items } = await this.messenger.ask(ListMachineSamples, asked);
      // Samples outlive their machine; only without any it is unknown.
      if (items.length === 0) await this.messenger.ask(GetMachine, { machineId: params.id });
      return void reply.send({ items, nextCursor: null });
    }
    await this.messenger.ask(GetMachine, { machineId: params.id });
    const events = accept?.includes('text/event-stream') === true;
    const answer = this.answers.begin(reply, events ? 'text/event-stream' : 'application/x-ndjson');
    try {
      for await (const sample of followSamples(this.messenger, asked, answer.signal))
        if (sample) await answer.send(sample, { name: 'sample', id: sample.at });
        else await answer.beat();
      answer.end();
    } catch {
      answer.breakOff();
    }
  }

  @Serves(operations.getCapacity)
  capacity() {
    return this.messenger.ask(GetCapacity, {});
  }

  @Serves(operations.getDriver)
  async driver() {
    return this.messenger.ask(GetDriver, {});
  }

  @Serves(operations.listRoutes)
  async routes(@Input(operations.listRoutes) { query }: InputOf<typeof operations.listRoutes>) {
    return { ...(await this.messenger.ask(ListRoutes, query)), nextCursor: null };
  }

  private async move(machineId: string, to: 'running' | 'frozen' | 'stopped'): Promise<Machine> {
    await this.messenger.ask(GetMachine, { machineId });
    await carryOut(this.messenger, MoveMachine, { machineId, to }, patience);
    return this.messenger.ask(GetMachine, { machineId });
  }
}
