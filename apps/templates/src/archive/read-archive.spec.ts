import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { CestxError, type ErrorCode } from '#contracts';

import { type ArchiveLimits, defaultLimits } from './entry-checker.ts';
import { paxRecord, rawTar, type RawTarEntry, rawZip, type RawZipEntry } from './raw-archives.fixture.ts';
import { readArchive } from './read-archive.ts';

const read = (archive: Buffer, limits: Partial<ArchiveLimits> = {}) =>
  readArchive(Readable.from([archive]), { ...defaultLimits, ...limits });
const tarGz = (entries: RawTarEntry[], options?: { end?: boolean }) => gzipSync(rawTar(entries, options));

async function refusal(archive: Buffer, limits: Partial<ArchiveLimits> = {}): Promise<CestxError> {
  const outcome = await read(archive, limits).then(
    () => 'it was accepted',
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(CestxError);
  return outcome as CestxError;
}

describe('an honest archive', () => {
  it('is read with its files, folders and executable bits, whatever it is packed in', async () => {
    const expected = {
      folders: ['bin', 'empty'],
      files: [
        { path: 'bin/run', executable: true, content: Buffer.from('#!/bin/sh\n') },
        { path: 'naïve ☕.txt', executable: false, content: Buffer.from('x'.repeat(2000)) },
      ],
    };
    const tar: RawTarEntry[] = [
      { name: './', type: '5', mode: 0o755 },
      { name: './bin/', type: '5', mode: 0o2755 },
      { name: './bin/run', mode: 0o755, content: '#!/bin/sh\n' },
      { name: './empty/', type: '5' },
      { name: './naïve ☕.txt', content: 'x'.repeat(2000) },
    ];
    expect(await read(tarGz(tar))).toEqual(expected);
    expect(await read(rawTar(tar))).toEqual(expected);
    const zip: RawZipEntry[] = [
      { name: 'bin/', mode: 0o040755 },
      { name: 'bin/run', mode: 0o100755, content: '#!/bin/sh\n' },
      { name: 'empty/' },
      { name: 'naïve ☕.txt', content: 'x'.repeat(2000) },
    ];
    expect(await read(rawZip(zip))).toEqual(expected);
  });

  it('keeps a single folder at the top as it is', async () => {
    const tree = await read(tarGz([{ name: 'project/package.json', content: '{}' }]));
    expect(tree.files.map((file) => file.path)).toEqual(['project/package.json']);
  });

  it('may have long names in a pax header and a comment for all entries', async () => {
    const long = `${'folder/'.repeat(30)}file.txt`;
    const tree = await read(
      tarGz([
        { name: 'pax_global_header', type: 'g', content: paxRecord('comment', 'made by git archive') },
        { name: 'PaxHeader/file.txt', type: 'x', content: paxRecord('path', long) },
        { name: 'short', content: 'hello' },
      ]),
    );
    expect(tree.files.map((file) => file.path)).toEqual([long]);
  });
});

const file = { content: 'x' };
const hostileTars: [string, RawTarEntry[], string, ErrorCode?][] = [
  ['an absolute path', [{ name: '/etc/cron.d/x', ...file }], '/etc/cron.d/x'],
  ['a path that climbs out', [{ name: 'a/../../x', ...file }], 'a/../../x'],
  ['a path of two dots', [{ name: '..', type: '5' }], '..'],
  ['a path that only ends in two dots', [{ name: 'a/..', type: '5' }], 'a/..'],
  ['a path of a drive', [{ name: 'C:/x', ...file }], 'C:/x'],
  ['a backslash', [{ name: '..\\x', ...file }], '..\\\\x'],
  ['a symbolic link', [{ name: 'link', type: '2', linkname: '/etc' }], 'link'],
  ['a hard link', [{ name: 'hard', type: '1', linkname: 'a' }], 'hard'],
  ['a character device', [{ name: 'tty', type: '3' }], 'tty'],
  ['a block device', [{ name: 'sda', type: '4' }], 'sda'],
  ['a fifo', [{ name: 'pipe', type: '6' }], 'pipe'],
  ['a type that nobody knows', [{ name: 'odd', type: 'Z', ...file }], 'odd'],
  ['a sparse file', [{ name: 'sparse', type: 'S', ...file }], 'sparse'],
  [
    'a name twice',
    [
      { name: 'a', ...file },
      { name: './a', ...file },
    ],
    './a',
  ],
  [
    'names that differ in case',
    [
      { name: 'Readme', ...file },
      { name: 'README', ...file },
    ],
    'README',
  ],
  [
    'folders that differ in case',
    [
      { name: 'Src/a', ...file },
      { name: 'src/b', ...file },
    ],
    'src/b',
  ],
  [
    'names that differ in Unicode form',
    [
      { name: 'caf\u00e9', ...file },
      { name: 'cafe\u0301', ...file },
    ],
    'cafe\u0301',
  ],
  [
    'a file that is also a folder',
    [
      { name: 'a', ...file },
      { name: 'a/b', ...file },
    ],
    'a/b',
  ],
  [
    'a folder that is also a file',
    [
      { name: 'a/b', ...file },
      { name: 'a', ...file },
    ],
    'a',
  ],
  [
    'a folder and a file that differ in case',
    [
      { name: 'Lib/', type: '5' },
      { name: 'lib', ...file },
    ],
    'lib',
  ],
  ['a newline in a name', [{ name: 'a\nb', ...file }], 'a\\nb'],
  ['an escape in a name', [{ name: 'a\u001b[2Jb', ...file }], 'a\\u001b[2Jb'],
  ['a name that is not UTF-8', [{ name: Buffer.from([0x61, 0xff, 0x62]), ...file }], 'a\ufffdb'],
  [
    'a NUL in a long name',
    [
      { name: 'h', type: 'x', content: paxRecord('path', 'a\u0000b') },
      { name: 'a', ...file },
    ],
    'a\\u0000b',
  ],
  [
    'a long name that climbs out',
    [
      { name: 'h', type: 'x', content: paxRecord('path', '../x') },
      { name: 'a', ...file },
    ],
    '../x',
  ],
  [
    'a GNU long name that climbs out',
    [
      { name: '././@LongLink', type: 'L', content: '../x\0' },
      { name: 'a', ...file },
    ],
    '../x',
  ],
  ['an empty part in a path', [{ name: 'a//b', ...file }], 'a//b'],
  [
    'a name longer than a disk takes',
    [
      { name: 'h', type: 'x', content: paxRecord('path', 'n'.repeat(256)) },
      { name: 'a', ...file },
    ],
    'n'.repeat(200),
  ],
  ['a set-user-id program', [{ name: 'su', mode: 0o4755, ...file }], 'su'],
  ['a set-group-id program', [{ name: 'sg', mode: 0o2755, ...file }], 'sg'],
  ['a header that claims a huge file', [{ name: 'huge', size: 0o77777777777, ...file }], 'huge', 'too-large'],
  [
    'a pax header that claims a huge file',
    [
      { name: 'h', type: 'x', content: paxRecord('size', '99999999999999') },
      { name: 'huge', ...file },
    ],
    'huge',
    'too-large',
  ],
  [
    'a pax header that is itself huge',
    [
      { name: 'h', type: 'x', content: Buffer.alloc(2 * 1024 ** 2, 'a') },
      { name: 'a', ...file },
    ],
    'h',
  ],
];

describe('a tar that holds', () => {
  it.each(hostileTars)(
    '%s is refused, and the entry named',
    async (_, entries, name, code = 'invalid-archive') => {
      const error = await refusal(tarGz(entries));
      expect(error.code).toBe(code);
      expect(error.message).toContain(`"${name}`);
    },
  );

  it.each([
    ['a wrong checksum', tarGz([{ name: 'a', badChecksum: true, ...file }])],
    ['a size beyond its end', tarGz([{ name: 'a', size: 4096, ...file }], { end: false })],
    ['content where a folder has none', tarGz([{ name: 'a/', content: 'x'.repeat(600), type: '0' }])],
    ['noise', gzipSync(Buffer.alloc(4096, 'noise'))],
    ['nothing', gzipSync(Buffer.alloc(0))],
    ['a cut-off gzip', tarGz([{ name: 'a', content: 'x'.repeat(5000) }]).subarray(0, 40)],
  ])('%s is refused', async (_, archive) => {
    expect((await refusal(archive)).code).toBe('invalid-archive');
  });
});

const hostileZips: [string, RawZipEntry[], string, ErrorCode?][] = [
  ['an absolute path', [{ name: '/etc/x', ...file }], '/etc/x'],
  ['a path that climbs out', [{ name: '../x', ...file }], '../x'],
  ['a path that climbs out with backslashes', [{ name: '..\\x', ...file }], '../x'],
  ['a symbolic link', [{ name: 'link', mode: 0o120777, content: '/etc' }], 'link'],
  ['a device', [{ name: 'tty', mode: 0o020666 }], 'tty'],
  ['a fifo', [{ name: 'pipe', mode: 0o010666 }], 'pipe'],
  ['a socket', [{ name: 'sock', mode: 0o140666 }], 'sock'],
  ['a folder in the clothes of a file', [{ name: 'a', mode: 0o040755 }], 'a'],
  ['a folder with content', [{ name: 'a/', mode: 0o040755, content: 'x' }], 'a/'],
  [
    'a name twice',
    [
      { name: 'a', ...file },
      { name: 'a', ...file },
    ],
    'a',
  ],
  [
    'names that differ in case',
    [
      { name: 'a', ...file },
      { name: 'A', ...file },
    ],
    'A',
  ],
  [
    'a file that is also a folder',
    [
      { name: 'a', ...file },
      { name: 'a/b', ...file },
    ],
    'a/b',
  ],
  ['a NUL in a name', [{ name: 'a\0b', ...file }], 'a\\u0000b'],
  ['a set-user-id program', [{ name: 'su', mode: 0o104755, ...file }], 'su'],
  ['an encrypted file', [{ name: 'secret', encrypted: true, ...file }], 'secret'],
  [
    'a file that unpacks to more than it says',
    [{ name: 'liar', content: 'x'.repeat(5000), size: 10 }],
    'liar',
  ],
  ['a file that unpacks to less than it says', [{ name: 'liar', content: 'x', size: 5000 }], 'liar'],
  ['a file that says it is huge', [{ name: 'huge', size: 0xfffffff0, ...file }], 'huge', 'too-large'],
];

describe('a zip that holds', () => {
  it.each(hostileZips)(
    '%s is refused, and the entry named',
    async (_, entries, name, code = 'invalid-archive') => {
      const error = await refusal(rawZip(entries));
      expect(error.code).toBe(code);
      expect(error.message).toContain(`"${name}`);
    },
  );

  it('a broken directory is refused', async () => {
    const archive = rawZip([{ name: 'a', ...file }]);
    expect((await refusal(archive.subarray(0, archive.length - 10))).code).toBe('invalid-archive');
  });
});

describe('an archive larger than allowed', () => {
  const many = Array.from({ length: 11 }, (_, index) => ({ name: `f${index}`, content: 'y'.repeat(100) }));

  it.each([
    ['by the number of its entries', { entries: 10 }, '"f10"'],
    ['by one file', { entryBytes: 99 }, '"f0"'],
    ['by all files together', { totalBytes: 950 }, '"f9"'],
  ])('%s is refused, and the entry named', async (_, limits, name) => {
    const tar = await refusal(tarGz(many), limits);
    expect(tar.code).toBe('too-large');
    expect(tar.message).toContain(name);
    expect((await refusal(rawZip(many), limits)).code).toBe('too-large');
  });

  it('as it was sent is refused', async () => {
    expect((await refusal(tarGz(many), { archiveBytes: 50 })).code).toBe('too-large');
  });

  it('when unpacked is refused without unpacking it all', async () => {
    const bomb = gzipSync(Buffer.alloc(300 * 1024 ** 2));
    const before = process.memoryUsage().arrayBuffers;
    expect((await refusal(bomb, { totalBytes: 1024 ** 2, entries: 10 })).code).toBe('too-large');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 ** 2);
    const zipBomb = rawZip([{ name: 'bomb', content: Buffer.alloc(100 * 1024 ** 2) }]);
    expect((await refusal(zipBomb)).message).toContain('"bomb"');
  });
});

it('what is neither tar nor zip is refused', async () => {
  expect((await refusal(Buffer.from('hello'))).code).toBe('invalid-archive');
  expect((await refusal(Buffer.alloc(0))).code).toBe('invalid-archive');
});
