import type { MachineLine } from '../machine.driver.ts';

/**
 * Takes the engine's log stream apart: frames of `stream, 0, 0, 0, length (4 bytes)` and `timestamp text\n`.
 * One frame is one line, or at most 16 KiB of a longer one.
 */
export class LogFrames {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): MachineLine[] {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    const lines: MachineLine[] = [];
    while (data.length >= 8) {
      const length = data.readUInt32BE(4);
      if (data.length < 8 + length) break;
      const body = data.toString('utf8', 8, 8 + length);
      const space = body.indexOf(' ');
      lines.push({
        stream: data[0] === 2 ? 'stderr' : 'stdout',
        timestamp: body.slice(0, space),
        // PostgreSQL cannot keep a NUL.
        text: body
          .slice(space + 1)
          .replace(/\r?\n$/, '')
          .replaceAll('\0', '\uFFFD'),
      });
      data = data.subarray(8 + length);
    }
    this.#rest = data;
    return lines;
  }
}
