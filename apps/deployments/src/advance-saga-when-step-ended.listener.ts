import { Controller } from '@nestjs/common';

import { ListenToEnds, type CommandEnd, type MessageContext, type Write } from '#messaging';

import { SagaRunner } from './run-saga.ts';
import { stepCommands } from './saga.ts';

@Controller()
export class AdvanceSagaWhenStepEndedListener {
  readonly #runner: SagaRunner;

  constructor(runner: SagaRunner) {
    this.#runner = runner;
  }

  @ListenToEnds([...stepCommands], 'advance-saga-when-step-ended')
  async handle(end: CommandEnd, context: MessageContext): Promise<Write | void> {
    const runId = context.correlation;
    // A command that no saga ordered.
    if (!runId) return;
    return (tx) => this.#runner.commandEnded(tx, runId, end);
  }
}
