export interface NatsServerBinary {
  path: string;
  version: string;
}

export function findNatsServer(options?: {
  /** Path that must be taken, refused when it does not fit; NATS_SERVER_BIN when left out. */
  named?: string;
  fetch?: boolean;
  onProgress?: (line: string) => void;
}): Promise<NatsServerBinary>;
