import {
  BuildSource,
  CestxError,
  DiscardBuild,
  DrainMachines,
  RegisterRoute,
  RemoveMachine,
  RemoveTriggers,
  RestoreTraffic,
  SetTriggers,
  ShiftTraffic,
  StartMachine,
  SubscribeLogs,
  UnsubscribeLogs,
  WithdrawRoute,
  type Artifact,
} from '#contracts';

import type { SagaRun } from './saga-run.entity.ts';
import { order, type Saga, type SagaStep } from './saga.ts';

const second = 1000;
/** Until the build step has ended nobody reads the artefact; the start step is only asked for after it. */
const notYetBuilt: Artifact = { kind: 'directory', path: '', command: ['false'] };

/** Source in, live function out. Up to `make-live` everything is undone on failure; behind it the old revision only has to go. */
export const deployFunction: Saga = {
  name: 'deploy-function',
  version: 2,
  success: 'live',
  steps(run: SagaRun): SagaStep[] {
    const { settings, scale, events, sourceDigest, build } = run.input;
    const { previousRevision = null, previousCalls, previousEvents } = run.input;
    const revision = run.revision;
    if (!settings || !scale || !sourceDigest || !build || !revision)
      throw new CestxError('internal', `Deployment ${run.id} has no settings.`);
    const where = { project: run.project, function: run.functionName };
    const machineId = `${revision}-${run.id.slice(-6)}`;
    const traffic = [{ revision, percent: 100 }];
    const calls = { timeout: settings.timeout, concurrency: settings.concurrency, scale };
    return [
      {
        name: 'build-source',
        // The wait in the build queue counts here; how long the build itself may take is CESTX_BUILD_TIMEOUT of the room that builds.
        timeout: 3600 * second,
        do: order(BuildSource, run.id, { ...where, buildId: run.id, sourceDigest, build }),
        undo: order(DiscardBuild, run.id, { buildId: run.id }),
      },
      {
        name: 'start-machine',
        timeout: settings.health.startup + 60 * second,
        do: order(StartMachine, machineId, {
          ...where,
          machineId,
          revision,
          settings,
          artifact: run.results.artifact ?? notYetBuilt,
        }),
        undo: order(RemoveMachine, machineId, { machineId }),
      },
      {
        name: 'register-route',
        timeout: 60 * second,
        do: order(RegisterRoute, run.functionName, { ...where, deploymentId: run.id }),
        undo: order(WithdrawRoute, run.functionName, { ...where, createdBy: run.id }),
      },
      {
        name: 'subscribe-logs',
        timeout: 60 * second,
        do: order(SubscribeLogs, run.functionName, { ...where, deploymentId: run.id }),
        undo: order(UnsubscribeLogs, run.functionName, { ...where, createdBy: run.id }),
      },
      // Runs that began before there were triggers go on without.
      ...(run.sagaVersion < 2 || !events
        ? []
        : [
            {
              name: 'set-triggers',
              timeout: 60 * second,
              do: order(SetTriggers, run.functionName, { ...where, ...events }),
              undo: previousEvents
                ? order(SetTriggers, run.functionName, { ...where, ...previousEvents })
                : order(RemoveTriggers, run.functionName, where),
            },
          ]),
      {
        name: 'make-live',
        timeout: 60 * second,
        do: order(ShiftTraffic, run.functionName, { ...where, traffic, ...calls }),
        undo: order(RestoreTraffic, run.functionName, {
          ...where,
          revision,
          previous: previousRevision,
          ...(previousCalls ?? calls),
        }),
        pivot: true,
      },
      {
        name: 'drain-replaced',
        timeout: settings.timeout + 90 * second,
        do: order(DrainMachines, run.functionName, {
          ...where,
          keepRevision: revision,
          patience: settings.timeout,
        }),
      },
    ];
  },
};
