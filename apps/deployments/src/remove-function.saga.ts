import { DiscardBuild, DrainMachines, RemoveTriggers, UnsubscribeLogs, WithdrawRoute } from '#contracts';

import type { SagaRun } from './saga-run.entity.ts';
import { order, type Saga, type SagaStep } from './saga.ts';

const second = 1000;

/** Takes a function away: first nobody can call it any more, then what it ran on goes. It only goes forward. */
export const removeFunction: Saga = {
  name: 'remove-function',
  version: 2,
  success: 'removed',
  steps(run: SagaRun): SagaStep[] {
    const where = { project: run.project, function: run.functionName };
    return [
      {
        name: 'withdraw-route',
        timeout: 60 * second,
        do: order(WithdrawRoute, run.functionName, { ...where, createdBy: null }),
        pivot: true,
      },
      ...(run.sagaVersion < 2
        ? []
        : [
            {
              name: 'remove-triggers',
              timeout: 60 * second,
              do: order(RemoveTriggers, run.functionName, where),
            },
          ]),
      {
        name: 'drain-machines',
        timeout: 150 * second,
        do: order(DrainMachines, run.functionName, { ...where, keepRevision: null, patience: 30 * second }),
      },
      {
        name: 'unsubscribe-logs',
        timeout: 60 * second,
        do: order(UnsubscribeLogs, run.functionName, { ...where, createdBy: null }),
      },
      ...(run.input.buildIds ?? []).map((buildId, index) => ({
        name: `discard-build-${index + 1}`,
        timeout: 60 * second,
        do: order(DiscardBuild, buildId, { buildId }),
      })),
    ];
  },
};
