import type { MachineDriver } from './machine.driver.ts';

/** Injection token of the driver of this house. */
export const CHOSEN_DRIVER = Symbol('CHOSEN_DRIVER');

export interface ChosenDriver {
  readonly driver: MachineDriver;
  /** Why this one, in a sentence for people. */
  readonly reason: string;
}
