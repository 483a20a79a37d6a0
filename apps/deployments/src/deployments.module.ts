import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { AdvanceSagaWhenStepEndedListener } from './advance-saga-when-step-ended.listener.ts';
import { CancelDeploymentHandler } from './cancel-deployment.handler.ts';
import { ChangeScaleHandler } from './change-scale.handler.ts';
import { DeployFunctionHandler } from './deploy-function.handler.ts';
import { AddEvents1764600000000 } from './add-events.migration.ts';
import { AddScale1764000000000 } from './add-scale.migration.ts';
import { AddTemplateVersion1764200100000 } from './add-template-version.migration.ts';
import { DeploymentStore } from './deployment.store.ts';
import { deploymentsConfig } from './deployments.config.ts';
import { Deployments1760000001000 } from './deployments.migration.ts';
import { DeploymentsQuery } from './deployments.query.ts';
import { FunctionRow, RevisionRow } from './function.entity.ts';
import { RemoveFunctionHandler } from './remove-function.handler.ts';
import { SagaRunner } from './run-saga.ts';
import { SagaRun } from './saga-run.entity.ts';
import { WakeSagasLoop } from './wake-sagas.loop.ts';

@Module({
  controllers: [
    DeployFunctionHandler,
    RemoveFunctionHandler,
    ChangeScaleHandler,
    CancelDeploymentHandler,
    AdvanceSagaWhenStepEndedListener,
    DeploymentsQuery,
  ],
  providers: [DeploymentStore, SagaRunner, WakeSagasLoop],
})
export class DeploymentsModule {}

export const deploymentsRoom = defineRoom({
  name: 'deployments',
  module: DeploymentsModule,
  config: deploymentsConfig,
  entities: [FunctionRow, RevisionRow, SagaRun],
  migrations: [
    Deployments1760000001000,
    AddScale1764000000000,
    AddTemplateVersion1764200100000,
    AddEvents1764600000000,
  ],
});
