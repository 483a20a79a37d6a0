import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { list } from 'tar';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { packSource } from './pack-source.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-pack-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

async function pathsIn(archive: Buffer): Promise<string[]> {
  const paths: string[] = [];
  const reader = list({ onReadEntry: (entry) => void paths.push(entry.path) });
  await pipeline(Readable.from([archive]), reader);
  return paths;
}

test('packs plain files with relative paths, without history and installed packages', async () => {
  await put({ 'index.js': '1', 'lib/a.js': '2', '.git/HEAD': 'x', 'node_modules/b/index.js': '3' });
  const { archive, files } = await packSource(folder);
  expect(files).toEqual(['index.js', 'lib/a.js']);
  expect(await pathsIn(archive)).toEqual(files);
});

test('leaves out what .gitignore and .cestxignore name, also deeper ones, and takes back what they negate', async () => {
  await put({
    '.gitignore': '*.log\n/dist/\n',
    '.cestxignore': 'test/\n',
    'index.js': '',
    'a.log': '',
    'lib/b.log': '',
    'dist/out.js': '',
    'lib/dist/kept.js': '',
    'test/t.js': '',
    'lib/.gitignore': '!keep.log\n',
    'lib/keep.log': '',
  });
  const { files } = await packSource(folder);
  expect(files).toEqual([
    '.cestxignore',
    '.gitignore',
    'index.js',
    'lib/.gitignore',
    'lib/dist/kept.js',
    'lib/keep.log',
  ]);
});

test('the same content packs to the same bytes', async () => {
  await put({ 'index.js': '1', 'lib/a.js': '2' });
  const first = await packSource(folder);
  await put({ 'index.js': '1' });
  const second = await packSource(folder);
  expect(second.archive.equals(first.archive)).toBe(true);
});

test('a link is refused by name and with the way out', async () => {
  await put({ 'index.js': '' });
  await symlink('/etc/passwd', join(folder, 'secret'));
  await expect(packSource(folder)).rejects.toMatchObject({
    message: 'secret is a symbolic link, which is not packed.',
    help: 'Put a plain file there, or name it in .cestxignore.',
  });
});

test('a folder that is missing, empty or a file is refused in plain words', async () => {
  await expect(packSource(folder)).rejects.toThrow('has no files to deploy');
  await expect(packSource(join(folder, 'gone'))).rejects.toThrow('There is no folder');
  await put({ 'index.js': '' });
  await expect(packSource(join(folder, 'index.js'))).rejects.toThrow('is not a folder');
});
