/** A machine and its function, as far as its expiry is concerned. */
export interface AgingMachine {
  readonly running: boolean;
  /** Milliseconds since it was made, or since its expiry was last changed. */
  readonly age: number;
  readonly expiresAfter: number | undefined;
  /** Machines the function is to have up now: what it asks for at least, and one while it is called. */
  readonly needed: number;
  /** Machines of the revision that are up and will stay longer. */
  readonly younger: number;
}

/** A machine that somebody needs has another in its place before it ends. */
export function planExpiry(machine: AgingMachine): 'keep' | 'replace' | 'end' {
  const { running, age, expiresAfter, needed, younger } = machine;
  if (expiresAfter === undefined || age < expiresAfter) return 'keep';
  return running && younger < needed ? 'replace' : 'end';
}
