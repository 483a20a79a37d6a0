import { Controller } from '@nestjs/common';

import {
  BuildSource,
  DiscardBuild,
  DrainMachines,
  RegisterRoute,
  RemoveMachine,
  RestoreTraffic,
  ShiftTraffic,
  StartMachine,
  SubscribeLogs,
  UnsubscribeLogs,
  WithdrawRoute,
} from '#contracts';
import { ListenToEnds, type CommandEnd, type MessageContext, type Write } from '#messaging';

import { SagaRunner } from './run-saga.ts';

const commandsOfSteps = [
  BuildSource,
  DiscardBuild,
  StartMachine,
  RemoveMachine,
  RegisterRoute,
  WithdrawRoute,
  SubscribeLogs,
  UnsubscribeLogs,
  ShiftTraffic,
  RestoreTraffic,
  DrainMachines,
];

@Controller()
export class AdvanceSagaWhenStepEndedListener {
  readonly #runner: SagaRunner;

  constructor(runner: SagaRunner) {
    this.#runner = runner;
  }

  @ListenToEnds(commandsOfSteps, 'advance-saga-when-step-ended')
  async handle(end: CommandEnd, context: MessageContext): Promise<Write | void> {
    const runId = context.correlation;
    // A command that no saga ordered.
    if (!runId) return;
    return (tx) => this.#runner.commandEnded(tx, runId, end);
  }
}
