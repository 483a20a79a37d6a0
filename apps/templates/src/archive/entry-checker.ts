import { CestxError } from '#contracts';

/** How much an archive may hold. A source is read into memory, so these bound that too. */
export interface ArchiveLimits {
  /** Bytes of the archive as it was sent. */
  archiveBytes: number;
  entries: number;
  /** Bytes of one file, unpacked. */
  entryBytes: number;
  /** Bytes of all files, unpacked. */
  totalBytes: number;
}

export const defaultLimits: ArchiveLimits = {
  archiveBytes: 64 * 1024 ** 2,
  entries: 20_000,
  entryBytes: 64 * 1024 ** 2,
  totalBytes: 128 * 1024 ** 2,
};

/** What an archive says about one of its entries, before anything of it is believed. */
export interface ClaimedEntry {
  name: string;
  kind: 'file' | 'folder';
  size: number;
  mode: number;
}

const maxPathBytes = 1024;
const maxNameBytes = 255;
const setIdBits = 0o6000;
// Control characters, and what a decoder puts where the bytes were not UTF-8.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd]/;

/**
 * Decides entry by entry whether an archive is harmless; the first that is not ends it, by name.
 * Names that differ only in case or in Unicode form count as the same name, because they are one file on some disks.
 */
export class EntryChecker {
  readonly #limits: ArchiveLimits;
  readonly #seen = new Map<string, { path: string; kind: 'file' | 'folder'; explicit: boolean }>();
  #entries = 0;
  #bytes = 0;

  constructor(limits: ArchiveLimits) {
    this.#limits = limits;
  }

  /** Returns the entry's path in normal form; null for the archive's own root (`./`). */
  check(entry: ClaimedEntry): string | null {
    this.#entries += 1;
    if (this.#entries > this.#limits.entries) {
      throw tooLarge(`has more than ${this.#limits.entries} entries, at ${quote(entry.name)}`);
    }
    this.#checkSize(entry);
    if (entry.kind === 'file' && (entry.mode & setIdBits) !== 0) {
      throw refuse(entry.name, 'has a set-user-id or set-group-id mode');
    }
    const path = checkName(entry.name);
    if (path === null) {
      if (entry.kind === 'folder') return null;
      throw refuse(entry.name, 'is a file with no name');
    }
    this.#claim(path, entry);
    return path;
  }

  #checkSize(entry: ClaimedEntry): void {
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) {
      throw refuse(entry.name, 'states a size that is not one');
    }
    if (entry.size > this.#limits.entryBytes) {
      throw tooLarge(`holds ${quote(entry.name)}, which is larger than ${this.#limits.entryBytes} bytes`);
    }
    this.#bytes += entry.size;
    if (this.#bytes > this.#limits.totalBytes) {
      throw tooLarge(
        `unpacks to more than ${this.#limits.totalBytes} bytes, reached at ${quote(entry.name)}`,
      );
    }
  }

  #claim(path: string, entry: ClaimedEntry): void {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) {
      this.#claimOne(parts.slice(0, depth).join('/'), 'folder', false, entry.name);
    }
    this.#claimOne(path, entry.kind, true, entry.name);
  }

  #claimOne(path: string, kind: 'file' | 'folder', explicit: boolean, name: string): void {
    const key = path.normalize('NFC').toLowerCase();
    const other = this.#seen.get(key);
    if (!other) {
      this.#seen.set(key, { path, kind, explicit });
      return;
    }
    if (other.path !== path) {
      throw refuse(name, `differs from ${quote(other.path)} only in case or Unicode form`);
    }
    if (other.kind !== kind) throw refuse(name, `makes ${quote(path)} both a file and a folder`);
    if (explicit && other.explicit) throw refuse(name, 'is there twice');
    other.explicit ||= explicit;
  }
}

function checkName(name: string): string | null {
  if (unprintable.test(name))
    throw refuse(name, 'has a control character, or one that is not UTF-8, in its name');
  if (name.includes('\\')) throw refuse(name, 'has a backslash in its name');
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) throw refuse(name, 'is an absolute path');
  if (Buffer.byteLength(name) > maxPathBytes)
    throw refuse(name, `has a path longer than ${maxPathBytes} bytes`);
  const parts = name.replace(/\/$/, '').split('/');
  if (parts.includes('..')) throw refuse(name, 'leads out of the archive');
  while (parts[0] === '.') parts.shift();
  if (parts.length === 0) return null;
  for (const part of parts) {
    if (part === '' || part === '.') throw refuse(name, 'has an empty part in its path');
    if (Buffer.byteLength(part) > maxNameBytes)
      throw refuse(name, `has a name longer than ${maxNameBytes} bytes`);
  }
  return parts.join('/');
}

export function refuse(name: string, why: string): CestxError {
  return new CestxError('invalid-archive', `The archive was refused: its entry ${quote(name)} ${why}.`);
}

export function tooLarge(why: string): CestxError {
  return new CestxError('too-large', `The archive was refused: it ${why}.`);
}

function quote(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
}
