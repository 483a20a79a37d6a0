import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

import { Parser } from 'tar';

import type { Component } from './builder.ts';
import { readerOf, sortComponents } from './find-components.ts';

/** What the files of an archive tell of, which were taken from the folder `above`; the archive goes by, and only those files are kept for a moment. */
export async function componentsInTar(archive: Readable, above: string): Promise<Component[]> {
  const found: Promise<Component[]>[] = [];
  const parser = new Parser({
    onReadEntry: (entry) => {
      const { size, mode = 0, type } = entry;
      const path = join(above, entry.path);
      const reader = type === 'File' ? readerOf({ path, size, executable: (mode & 0o111) !== 0 }) : undefined;
      if (reader) found.push(buffer(entry).then(reader));
      else entry.resume();
    },
  });
  await pipeline(archive, parser as unknown as NodeJS.WritableStream);
  return sortComponents((await Promise.all(found)).flat());
}

export async function componentsInFolder(folder: string): Promise<Component[]> {
  const found: Component[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { size, mode } = await stat(path);
    const reader = readerOf({ path: relative(folder, path), size, executable: (mode & 0o111) !== 0 });
    if (reader) found.push(...reader(await readFile(path)));
  }
  return sortComponents(found);
}
