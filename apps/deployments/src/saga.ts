import {
  BuildSource,
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
  type CommandType,
  type PayloadOf,
} from '#contracts';

import type { SagaRun } from './saga-run.entity.ts';

/** The commands sagas may order: those whose ends are listened to. */
export const stepCommands = [
  BuildSource,
  DiscardBuild,
  StartMachine,
  RemoveMachine,
  RegisterRoute,
  WithdrawRoute,
  SubscribeLogs,
  UnsubscribeLogs,
  SetTriggers,
  RemoveTriggers,
  ShiftTraffic,
  RestoreTraffic,
  DrainMachines,
] as const;
type StepCommand = (typeof stepCommands)[number];

/** A command one step sends, and whom it is about. */
export interface Order {
  command: CommandType;
  id: string;
  payload: unknown;
}

export interface SagaStep {
  name: string;
  /** Milliseconds after which the step counts as failed. */
  timeout: number;
  do: Order;
  /** Cleans up whatever `do` may have left, also when `do` never ran or was cut short. */
  undo?: Order;
  /** Shown to the command sender's reader: from this step on the saga only goes forward. */
  pivot?: boolean;
}

/**
 * A saga is a list of steps that follows from its run alone. A run in flight ends on the version it began with,
 * so a changed list is a new version and the old one stays until no run is on it.
 */
export interface Saga {
  name: string;
  version: number;
  /** The state of a run that got through. */
  success: 'live' | 'removed';
  steps(run: SagaRun): SagaStep[];
}

export function order<C extends StepCommand>(command: C, id: string, payload: PayloadOf<C>): Order {
  return { command, id, payload };
}
