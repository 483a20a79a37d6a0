import type { Readable } from 'node:stream';

export interface StoredObject {
  name: string;
  size: number;
  modifiedAt: Date;
}

/** Named byte sequences of any length that every room can reach. Names are letters, digits, `-`, `_`, `.` and `/`. */
export abstract class Objects {
  /** Replaces what the name held, as a whole: a `data` that fails leaves what was there before. */
  abstract put(name: string, data: Readable): Promise<{ size: number }>;
  abstract get(name: string): Promise<Readable | null>;
  abstract exists(name: string): Promise<boolean>;
  /** Removing what is not there is no error. */
  abstract remove(name: string): Promise<void>;
  abstract list(prefix?: string): Promise<StoredObject[]>;
}
