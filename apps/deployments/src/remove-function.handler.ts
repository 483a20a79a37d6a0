import { Controller } from '@nestjs/common';

import { CestxError, RemoveFunction, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { DeploymentStore } from './deployment.store.ts';
import { SagaRunner } from './run-saga.ts';

@Controller()
export class RemoveFunctionHandler {
  readonly #runner: SagaRunner;
  readonly #store: DeploymentStore;

  constructor(runner: SagaRunner, store: DeploymentStore) {
    this.#runner = runner;
    this.#store = store;
  }

  @HandleCommand(RemoveFunction)
  async handle(command: PayloadOf<typeof RemoveFunction>): Promise<Outcome<typeof RemoveFunction>> {
    const { deploymentId, project, function: functionName } = command;
    if (!(await this.#store.function(project, functionName))) {
      throw new CestxError('not-found', `There is no function ${functionName}.`);
    }
    return {
      done: { deploymentId },
      write: (tx) =>
        this.#runner.enqueue(tx, 'remove-function', { id: deploymentId, project, functionName, input: {} }),
    };
  }
}
