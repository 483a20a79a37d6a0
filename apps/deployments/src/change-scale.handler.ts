import { Controller } from '@nestjs/common';

import { ChangeScale, CestxError, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { DeploymentStore } from './deployment.store.ts';
import { SagaRunner } from './run-saga.ts';

@Controller()
export class ChangeScaleHandler {
  readonly #runner: SagaRunner;
  readonly #store: DeploymentStore;

  constructor(runner: SagaRunner, store: DeploymentStore) {
    this.#runner = runner;
    this.#store = store;
  }

  @HandleCommand(ChangeScale)
  async handle(command: PayloadOf<typeof ChangeScale>): Promise<Outcome<typeof ChangeScale>> {
    const { deploymentId, project, function: functionName, change } = command;
    const present = await this.#store.function(project, functionName);
    if (!present) throw new CestxError('not-found', `There is no function ${functionName}.`);
    if (!present.revision)
      throw new CestxError('conflict', `${functionName} is not live yet; wait for its deployment.`);
    return {
      done: { deploymentId },
      write: (tx) =>
        this.#runner.enqueue(tx, 'change-scale', {
          id: deploymentId,
          project,
          functionName,
          input: { change },
        }),
    };
  }
}
