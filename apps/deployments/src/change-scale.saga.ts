import { CestxError, ShiftTraffic } from '#contracts';

import type { SagaRun } from './saga-run.entity.ts';
import { order, type Saga, type SagaStep } from './saga.ts';

/** Tells the callers, the scaler and the machines how a live function scales from now on; its revision stays. */
export const changeScale: Saga = {
  name: 'change-scale',
  version: 1,
  success: 'live',
  steps(run: SagaRun): SagaStep[] {
    const { scale, previousCalls } = run.input;
    if (!scale || !previousCalls || !run.revision)
      throw new CestxError('internal', `Deployment ${run.id} has no scale to change.`);
    const route = {
      project: run.project,
      function: run.functionName,
      traffic: [{ revision: run.revision, percent: 100 }],
    };
    return [
      {
        name: 'change-scale',
        timeout: 60_000,
        do: order(ShiftTraffic, run.functionName, { ...route, ...previousCalls, scale }),
        undo: order(ShiftTraffic, run.functionName, { ...route, ...previousCalls }),
        pivot: true,
      },
    ];
  },
};
