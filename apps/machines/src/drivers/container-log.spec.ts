import { expect, test } from 'vitest';

import { LogFrames } from './container-log.ts';

function frame(stream: 1 | 2, body: string): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(Buffer.byteLength(body), 4);
  return Buffer.concat([header, Buffer.from(body)]);
}

test('lines come out whole however the bytes are cut', () => {
  const bytes = Buffer.concat([
    frame(1, '2026-01-01T00:00:00.000000001Z hello wörld\n'),
    frame(2, '2026-01-01T00:00:00.000000002Z \n'),
    frame(1, '2026-01-01T00:00:00.000000003Z part of a long line'),
  ]);
  for (const size of [1, 3, 7, 1000]) {
    const frames = new LogFrames();
    const lines = [];
    for (let at = 0; at < bytes.length; at += size) lines.push(...frames.push(bytes.subarray(at, at + size)));
    expect(lines).toEqual([
      { stream: 'stdout', timestamp: '2026-01-01T00:00:00.000000001Z', text: 'hello wörld' },
      { stream: 'stderr', timestamp: '2026-01-01T00:00:00.000000002Z', text: '' },
      { stream: 'stdout', timestamp: '2026-01-01T00:00:00.000000003Z', text: 'part of a long line' },
    ]);
  }
});
