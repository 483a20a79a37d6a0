import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { digestOf, packSource } from './pack-source.ts';
import { rawTar, rawZip } from './raw-archives.fixture.ts';
import { readArchive } from './read-archive.ts';

const read = (archive: Buffer) => readArchive(Readable.from([archive]));

describe('a packed source', () => {
  it('is the same bytes whatever archive, order, times and folder entries it came with', async () => {
    const tar = await read(
      rawTar([
        { name: 'src/', type: '5', mode: 0o700 },
        { name: 'src/b.js', content: 'b', mode: 0o600 },
        { name: 'a.sh', content: 'a', mode: 0o711 },
      ]),
    );
    const zip = await read(
      rawZip([
        { name: 'a.sh', content: 'a', mode: 0o100755 },
        { name: 'src/b.js', content: 'b' },
      ]),
    );
    expect(digestOf(zip)).toBe(digestOf(tar));
  });

  it('is another when a byte, a name or an executable bit differs', async () => {
    const digests = await Promise.all(
      [
        { name: 'a', content: 'x' },
        { name: 'a', content: 'y' },
        { name: 'b', content: 'x' },
        { name: 'a', content: 'x', mode: 0o755 },
      ].map(async (entry) => digestOf(await read(rawTar([entry])))),
    );
    expect(new Set(digests).size).toBe(4);
  });

  it('can be read again, long names and empty folders included', async () => {
    const long = `${'länger/'.repeat(40)}file.txt`;
    const tree = await read(rawZip([{ name: long, content: 'x'.repeat(513) }, { name: 'empty/' }]));
    const again = await read(Buffer.concat([...packSource(tree)]));
    expect(again.files).toEqual(tree.files);
    expect(again.folders).toContain('empty');
    expect(digestOf(again)).toBe(digestOf(tree));
  });
});
