import { Controller } from '@nestjs/common';

import { CancelDeployment, CestxError, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { DeploymentStore } from './deployment.store.ts';
import { SagaRunner } from './run-saga.ts';

@Controller()
export class CancelDeploymentHandler {
  readonly #runner: SagaRunner;
  readonly #store: DeploymentStore;

  constructor(runner: SagaRunner, store: DeploymentStore) {
    this.#runner = runner;
    this.#store = store;
  }

  @HandleCommand(CancelDeployment)
  async handle({
    deploymentId,
  }: PayloadOf<typeof CancelDeployment>): Promise<Outcome<typeof CancelDeployment>> {
    if (!(await this.#store.deployment(deploymentId)))
      throw new CestxError('not-found', `There is no deployment ${deploymentId}.`);
    return { done: { deploymentId }, write: (tx) => this.#runner.cancel(tx, deploymentId) };
  }
}
