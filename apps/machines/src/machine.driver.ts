import type { Artifact, DriverName, Settings } from '#contracts';

/** What a driver needs to know of one machine. No word of it belongs to a vendor. */
export interface MachineSpec {
  readonly id: string;
  readonly project: string;
  readonly function: string;
  readonly revision: string;
  readonly artifact: Artifact;
  readonly resources: Settings['resources'];
  /** What isolates it, where the driver has a choice; without it what the engine takes by itself. */
  readonly runtime?: Settings['runtime'];
  /** Complete but for `PORT`, which the driver chooses. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface SeenMachine {
  readonly id: string;
  readonly state: 'created' | 'running' | 'frozen' | 'exited';
  /** `host:port` that can be dialled from here while it runs. */
  readonly address: string | null;
  readonly exit: MachineExit | null;
}

export interface MachineExit {
  readonly code: number | null;
  /** A sentence's end for people: `exited with code 1`, `was killed for using more than its 64 MiB of memory`. */
  readonly reason: string;
  /** The port it was given belonged to somebody else; the next start is given another one. */
  readonly portTaken: boolean;
  /** It ended because the platform, or what it runs on, did: through no fault of its own. */
  readonly withPlatform: boolean;
}

export interface MachineLine {
  readonly stream: 'stdout' | 'stderr';
  /** ISO 8601 with as many digits as the driver knows; with the text it tells one line from another. */
  readonly timestamp: string;
  /** At most `maxLineBytes`; the rest of a longer line follows as the next one. */
  readonly text: string;
}
export const maxLineBytes = 16 * 1024;
/** Lines of stdout and stderr may be out of order by less than this, so readers that go on look this far back. */
export const logOverlapMs = 2000;

export interface MachineUsage {
  readonly cpuSeconds: number;
  /** The working set: without what the kernel only keeps because there is room. */
  readonly memoryBytes: number;
  /** Its own limit, or the memory of the host where it has none. */
  readonly memoryLimitBytes: number;
  readonly processes: number;
}

/** A socket a machine's program listens on. */
export interface Listener {
  readonly port: number;
  /** False when only the machine itself can dial it (bound to loopback inside a container). */
  readonly reachable: boolean;
}

/**
 * What machines run on. Every call may be made again after it, or the whole platform, was killed in the middle:
 * asking for what is already so is no error, and neither is stopping or removing what is not there.
 * Calls about one machine are made one after the other (the room holds a lock per machine); `logs` is the exception.
 */
export interface MachineDriver {
  readonly name: DriverName;
  /** What the user should know before trusting it, or null. */
  readonly warning: string | null;
  /** The port a program is to listen on, as messages about it should call it; null when each machine gets its own. */
  readonly port: number | null;

  /** Finds out what earlier lives left, and clears away what cannot be kept. Called once, before anything else. */
  open(): Promise<void>;
  /** Lets go of the machines without touching them, as far as the driver can. */
  close(): Promise<void>;

  /** Throws `start-failed`, not to be tried again, when the driver cannot keep what `spec` asks for. */
  create(spec: MachineSpec): Promise<void>;
  /** Starts a created or an exited machine. Resolves when the program was started, not when it can serve. */
  start(id: string): Promise<void>;
  freeze(id: string): Promise<void>;
  thaw(id: string): Promise<void>;
  /** Asks the program to end, and ends it when it has not within `graceMs`. */
  stop(id: string, graceMs: number): Promise<void>;
  /** Removes the machine and all it had. A running one is killed. */
  remove(id: string): Promise<void>;

  inspect(id: string): Promise<SeenMachine | null>;
  /** Every machine of this house, whoever ordered it. */
  list(): Promise<SeenMachine[]>;
  stats(id: string): Promise<MachineUsage | null>;
  /** The sockets its program listens on; null when this cannot be known from here. */
  listeners(id: string): Promise<Listener[] | null>;
  /**
   * The machine's lines in batches, from its first on. Ends when it is not running and every line was given.
   * `seen` are the lines a reader already has, at least those of the last `logOverlapMs` before its newest one; they
   * and everything older than that are left out.
   * Asking for the next batch says that the one before is safe.
   */
  logs(id: string, seen: readonly MachineLine[], signal: AbortSignal): AsyncIterable<MachineLine[]>;
  /** Calls `listener` when a machine may have ended. Returns how to stop that. */
  onExit(listener: (id: string) => void): () => void;
}
