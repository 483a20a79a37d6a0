import { logOverlapMs, type MachineLine } from './machine.driver.ts';

/** The time `logOverlapMs` before the newest of these lines, as the beginning of a timestamp; '' without any line. */
export function overlapStart(lines: readonly MachineLine[]): string {
  let newest = '';
  for (const { timestamp } of lines) if (timestamp > newest) newest = timestamp;
  return newest === '' ? '' : new Date(Date.parse(newest) - logOverlapMs).toISOString().slice(0, -1);
}

/** Leaves out what a reader has seen already, however often the same line was said in the same instant. */
export class SeenLines {
  readonly #counts = new Map<string, number>();
  readonly #start: string;

  constructor(seen: readonly MachineLine[]) {
    this.#start = overlapStart(seen);
    for (const line of seen) this.#count(line, 1);
  }

  /** True when the line is new. */
  admit(line: MachineLine): boolean {
    if (line.timestamp < this.#start) return false;
    if (!this.#counts.has(keyOf(line))) return true;
    this.#count(line, -1);
    return false;
  }

  #count(line: MachineLine, by: number): void {
    const key = keyOf(line);
    const count = (this.#counts.get(key) ?? 0) + by;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}

/** Keeps of the lines given so far what a later reader must know to go on: those of the last `logOverlapMs`. */
export class RecentLines {
  #lines: MachineLine[];

  constructor(lines: readonly MachineLine[] = []) {
    this.#lines = [...lines];
  }

  get lines(): readonly MachineLine[] {
    return this.#lines;
  }

  push(...lines: MachineLine[]): void {
    for (const line of lines) this.#lines.push(line);
    // Looked through now and then only, so that a chatty machine costs little.
    if (this.#lines.length < 1000) return;
    const start = overlapStart(this.#lines);
    this.#lines = this.#lines.filter(({ timestamp }) => timestamp >= start);
  }
}

function keyOf(line: MachineLine): string {
  return `${line.timestamp} ${line.stream} ${line.text}`;
}
