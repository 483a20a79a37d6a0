import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

import { Parser, type ReadEntry } from 'tar';

import type { SourceFile, SourceTree } from '#builds';
import { CestxError } from '#contracts';

import { type ArchiveLimits, EntryChecker, refuse, tooLarge } from './entry-checker.ts';

/** Room for tar's own headers and padding beside the content. */
const overheadPerEntry = 4096;

/** Reads a tar, compressed with gzip or not. node-tar only parses here; nothing is extracted by it. */
export async function readTar(data: Buffer, limits: ArchiveLimits): Promise<SourceTree> {
  const reader = new TarReader(limits);
  const gzip = data[0] === 0x1f && data[1] === 0x8b;
  const stream = Readable.from([data], { objectMode: false });
  const most = limits.totalBytes + limits.entries * overheadPerEntry;
  let bytes = 0;
  try {
    for await (const chunk of gzip ? stream.pipe(createGunzip()) : stream) {
      bytes += (chunk as Buffer).length;
      if (bytes > most) throw tooLarge(`unpacks to more than ${most} bytes`);
      reader.write(chunk as Buffer);
    }
  } catch (error) {
    if (error instanceof CestxError) throw error;
    throw broken(error);
  }
  return reader.end();
}

class TarReader {
  // Strict: what node-tar would only warn of (a bad checksum, a cut-off end) is an error.
  readonly #parser = new Parser({ strict: true });
  readonly #checker: EntryChecker;
  readonly #folders: string[] = [];
  readonly #files: SourceFile[] = [];
  #failure: CestxError | undefined;

  constructor(limits: ArchiveLimits) {
    this.#checker = new EntryChecker(limits);
    this.#parser.on('entry', (entry: ReadEntry) => this.#read(entry));
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => {
      this.#fail(refuse(entry.path, 'is neither a file nor a folder'));
    });
    // node-tar cuts a name at a NUL; another reader might not, so such an archive is refused.
    this.#parser.on('meta', (text: string) => {
      const name = /(?:^|\s)path=([^\n]*\u0000[^\n]*)/.exec(text)?.[1];
      if (name !== undefined) this.#fail(refuse(name, 'has a control character in its name'));
    });
    this.#parser.on('error', (error: Error) => this.#fail(broken(error)));
  }

  write(chunk: Buffer): void {
    this.#parser.write(chunk);
    if (this.#failure) throw this.#failure;
  }

  async end(): Promise<SourceTree> {
    await new Promise<void>((resolve) => {
      this.#parser.once('end', resolve);
      this.#parser.once('error', () => resolve());
      this.#parser.end();
    });
    if (this.#failure) throw this.#failure;
    return { folders: this.#folders, files: this.#files };
  }

  #read(entry: ReadEntry): void {
    const path = this.#failure ? null : this.#accept(entry);
    if (path === null || entry.type === 'Directory') {
      if (path !== null) this.#folders.push(path);
      entry.resume();
      return;
    }
    const chunks: Buffer[] = [];
    entry.on('data', (chunk: Buffer) => chunks.push(chunk));
    entry.on('end', () => {
      const executable = ((entry.mode ?? 0) & 0o111) !== 0;
      this.#files.push({ path, executable, content: Buffer.concat(chunks) });
    });
  }

  #accept(entry: ReadEntry): string | null {
    try {
      const kind = kindOf(entry);
      return this.#checker.check({ name: entry.path, kind, size: entry.size, mode: entry.mode ?? 0 });
    } catch (error) {
      this.#fail(error instanceof CestxError ? error : broken(error));
      return null;
    }
  }

  #fail(error: CestxError): void {
    this.#failure ??= error;
  }
}

function kindOf(entry: ReadEntry): 'file' | 'folder' {
  switch (entry.type) {
    case 'File':
    case 'OldFile':
      return 'file';
    case 'Directory':
      return 'folder';
    case 'SymbolicLink':
    case 'Link':
      throw refuse(entry.path, 'is a link');
    default:
      throw refuse(entry.path, 'is neither a file nor a folder');
  }
}

function broken(error: unknown): CestxError {
  const why = error instanceof Error ? error.message : String(error);
  return new CestxError('invalid-archive', `The archive cannot be read: ${why}.`, { cause: error });
}
