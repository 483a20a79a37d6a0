import { Controller } from '@nestjs/common';

import { DeployFunction, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { SagaRunner } from './run-saga.ts';

@Controller()
export class DeployFunctionHandler {
  readonly #runner: SagaRunner;

  constructor(runner: SagaRunner) {
    this.#runner = runner;
  }

  @HandleCommand(DeployFunction)
  async handle(command: PayloadOf<typeof DeployFunction>): Promise<Outcome<typeof DeployFunction>> {
    const { deploymentId, project, function: functionName, ...input } = command;
    return {
      done: { deploymentId },
      write: (tx) =>
        this.#runner.enqueue(tx, 'deploy-function', {
          id: deploymentId,
          project,
          functionName,
          input,
        }),
    };
  }
}
