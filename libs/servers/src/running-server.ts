export interface ServerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server child of ours that answers. It ends with us, however we end. */
export interface RunningServer {
  /** With credentials; reachable from this host only. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  kill(signal: NodeJS.Signals): void;
  /** Asks it to end, insists after a while, and resolves when it is gone. */
  stop(): Promise<void>;
}
