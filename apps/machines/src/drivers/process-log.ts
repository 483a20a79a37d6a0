import { execFile } from 'node:child_process';
import { appendFile, open, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { maxLineBytes, type MachineLine } from '../machine.driver.ts';

type Stream = MachineLine['stream'];
type Offsets = Record<Stream, number>;
const streams: readonly Stream[] = ['stdout', 'stderr'];
const chunkBytes = 256 * 1024;
/** When the journal is made new, and what was read is given back to the disk. */
const compactAfterBytes = 1024 ** 2;
const compactAfterLines = 5000;
/** What is left of lines nobody kept in time, when they had to be cut. */
const keptOfUnread = 1024 ** 2;

interface Piece {
  readonly stream: Stream;
  readonly start: number;
  readonly length: number;
  readonly timestamp: string;
  /** What stands for bytes that are not there any more. */
  readonly skipped: boolean;
}

export function logFile(folder: string, stream: Stream): string {
  return join(folder, `${stream}.log`);
}

/**
 * The lines of a process, from the two files it writes by itself, so that none waits for us and none dies with us.
 * A file has no times and two files have no order; the journal beside them holds both, and is written before a line is
 * given to anyone. So a reader that was killed gets the very same lines again.
 */
export class ProcessLog {
  readonly #folder: string;
  readonly #journal: string;
  #base: Offsets = { stdout: 0, stderr: 0 };
  #read: Offsets = { stdout: 0, stderr: 0 };
  #skipTo: Offsets = { stdout: 0, stderr: 0 };
  #journalled = 0;
  #lastMs = 0;
  #lastCount = 0;

  readonly #maxUnread: number;

  /** A machine that writes faster than its lines can be kept loses all but the last of `maxUnreadBytes`, and is told so. */
  constructor(folder: string, maxUnreadBytes: number) {
    this.#folder = folder;
    this.#maxUnread = maxUnreadBytes;
    this.#journal = join(folder, 'lines.journal');
  }

  /** The lines the journal names: they were given to somebody, who may or may not have kept them. */
  async replay(): Promise<MachineLine[]> {
    const text = await readFile(this.#journal, 'utf8').catch(() => '');
    const rows = text.split('\n').slice(0, -1);
    const [stdout = 0, stderr = 0, ms = 0, count = 0] = (rows.shift() ?? '').split(' ').map(Number);
    this.#base = { stdout, stderr };
    this.#read = { stdout, stderr };
    [this.#lastMs, this.#lastCount, this.#journalled] = [ms, count, rows.length];
    const lines: MachineLine[] = [];
    for (const row of rows) {
      const [name, start, length, timestamp = '', kind] = row.split(' ');
      const stream = name === 'stderr' ? 'stderr' : 'stdout';
      const piece = {
        stream,
        start: Number(start),
        length: Number(length),
        timestamp,
        skipped: kind === 'skipped',
      } as const;
      lines.push(await this.#lineOf(piece));
      this.#read[stream] = piece.start + piece.length;
      this.#lastMs = Date.parse(`${timestamp.slice(0, 23)}Z`);
      this.#lastCount = Number(timestamp.slice(23, 29));
    }
    return lines;
  }

  /** The next lines; with `ended`, also a last one that lacks its end. Empty when there is none yet. */
  async next(ended: boolean): Promise<MachineLine[]> {
    const pieces: Piece[] = [];
    const lines: MachineLine[] = [];
    const read = { ...this.#read };
    for (const stream of streams) {
      const skipped = this.#skipTo[stream] - read[stream];
      if (skipped > 0) {
        const piece = { stream, start: read[stream], length: skipped, timestamp: this.#now(), skipped: true };
        pieces.push(piece);
        lines.push(await this.#lineOf(piece));
        read[stream] += skipped;
      }
      const bytes = await this.#bytes(stream, read[stream], chunkBytes);
      let at = 0;
      for (const length of lineLengths(bytes, ended && bytes.length < chunkBytes)) {
        const piece = { stream, start: read[stream], length, timestamp: this.#now(), skipped: false };
        pieces.push(piece);
        lines.push({ stream, timestamp: piece.timestamp, text: toText(bytes.subarray(at, at + length)) });
        at += length;
        read[stream] += length;
      }
    }
    if (pieces.length === 0) return [];
    const rows = pieces.map(
      ({ stream, start, length, timestamp, skipped }) =>
        `${stream} ${start} ${length} ${timestamp}${skipped ? ' skipped' : ''}\n`,
    );
    const head =
      this.#journalled === 0 && !(await stat(this.#journal).catch(() => null)) ? `${this.#head()}\n` : '';
    await appendFile(this.#journal, head + rows.join(''));
    this.#journalled += pieces.length;
    this.#read = read;
    return lines;
  }

  /** Everything given so far is safe: now and then the journal is begun anew and the read bytes are freed. */
  async forget(): Promise<void> {
    const bytes = streams.reduce((sum, stream) => sum + this.#read[stream] - this.#base[stream], 0);
    if (bytes < compactAfterBytes && this.#journalled < compactAfterLines) return;
    const before = this.#base;
    this.#base = { ...this.#read };
    this.#journalled = 0;
    await writeFile(`${this.#journal}.new`, `${this.#head()}\n`);
    await rename(`${this.#journal}.new`, this.#journal);
    for (const stream of streams) await this.#free(stream, before[stream], this.#base[stream]);
  }

  /** Keeps an unread file from filling the disk, however fast it is written and however long nobody reads. */
  async enforceCap(): Promise<void> {
    for (const stream of streams) {
      const size = (await stat(logFile(this.#folder, stream)).catch(() => null))?.size ?? 0;
      const from = Math.max(this.#read[stream], this.#skipTo[stream]);
      if (size - from <= this.#maxUnread) continue;
      this.#skipTo[stream] = size - Math.min(keptOfUnread, this.#maxUnread);
      await this.#free(stream, from, this.#skipTo[stream]);
    }
  }

  #head(): string {
    return `${this.#base.stdout} ${this.#base.stderr} ${this.#lastMs} ${this.#lastCount}`;
  }

  /** Now, but later than every time before it: the last six digits count the lines of one millisecond. */
  #now(): string {
    const ms = Math.max(Date.now(), this.#lastMs);
    this.#lastCount = ms === this.#lastMs ? this.#lastCount + 1 : 0;
    this.#lastMs = ms;
    return `${new Date(ms).toISOString().slice(0, -1)}${String(this.#lastCount).padStart(6, '0')}Z`;
  }

  async #lineOf(piece: Piece): Promise<MachineLine> {
    const { stream, start, length, timestamp, skipped } = piece;
    if (skipped)
      return {
        stream,
        timestamp,
        text: `[cestx] ${length} bytes left out: written faster than they could be kept`,
      };
    return { stream, timestamp, text: toText(await this.#bytes(stream, start, length)) };
  }

  async #bytes(stream: Stream, start: number, length: number): Promise<Buffer> {
    const file = await open(logFile(this.#folder, stream)).catch(() => null);
    if (!file) return Buffer.alloc(0);
    try {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, start);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Offsets stay as they are; only the disk gets its blocks back. Not every file system can. */
  async #free(stream: Stream, from: number, to: number): Promise<void> {
    if (to <= from) return;
    const range = ['--punch-hole', '--offset', String(from), '--length', String(to - from)];
    await promisify(execFile)('fallocate', [...range, logFile(this.#folder, stream)]).catch(() => undefined);
  }
}

/** The lengths, line end included, of the lines at the beginning of `bytes`; long ones are cut. */
export function lineLengths(bytes: Buffer, ended: boolean): number[] {
  const lengths: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(10, at);
    if (end >= 0 && end - at <= maxLineBytes) lengths.push(end + 1 - at);
    else if (bytes.length - at > maxLineBytes)
      lengths.push(wholeCharacters(bytes, at, at + maxLineBytes) - at);
    else if (ended && end < 0) lengths.push(bytes.length - at);
    else break;
    at += lengths.at(-1) ?? 0;
  }
  return lengths;
}

/** Steps back from the middle of a UTF-8 character to its first byte. */
function wholeCharacters(bytes: Buffer, from: number, to: number): number {
  let end = to;
  while (end > to - 4 && end > from + 1 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return ((bytes[end] ?? 0) & 0xc0) === 0x80 ? to : end;
}

function toText(bytes: Buffer): string {
  // PostgreSQL cannot keep a NUL.
  return bytes
    .toString('utf8')
    .replace(/\r?\n$/, '')
    .replaceAll('\0', '\uFFFD');
}
