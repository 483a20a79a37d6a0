import type { Readable } from 'node:stream';

import type { SourceTree } from '#builds';
import { CestxError } from '#contracts';

import { type ArchiveLimits, defaultLimits, tooLarge } from './entry-checker.ts';
import { readTar } from './read-tar.ts';
import { readZip } from './read-zip.ts';

/**
 * Reads a source handed in as tar.gz, tar or zip. It is wholly read and checked before anyone sees any of it: links,
 * devices, paths that lead out, names that collide and sizes beyond the limits end in `invalid-archive` or `too-large`.
 */
export async function readArchive(
  archive: Readable,
  limits: ArchiveLimits = defaultLimits,
): Promise<SourceTree> {
  const data = await readAll(archive, limits.archiveBytes);
  const format = formatOf(data);
  if (format === 'zip') return await readZip(data, limits);
  if (format === 'tar') return await readTar(data, limits);
  throw new CestxError('invalid-archive', 'The source is neither a tar.gz nor a zip archive.');
}

function formatOf(data: Buffer): 'tar' | 'zip' | null {
  if (data[0] === 0x1f && data[1] === 0x8b) return 'tar';
  if (data.toString('latin1', 257, 262) === 'ustar') return 'tar';
  const start = data.toString('latin1', 0, 4);
  return start === 'PK\u0003\u0004' || start === 'PK\u0005\u0006' ? 'zip' : null;
}

async function readAll(stream: Readable, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    bytes += (chunk as Uint8Array).length;
    if (bytes > most) throw tooLarge(`is larger than ${most} bytes`);
    chunks.push(Buffer.from(chunk as Uint8Array));
  }
  return Buffer.concat(chunks);
}
