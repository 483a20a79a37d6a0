import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import type { SourceTree } from '#builds';

/** A folder of the repository as a checked source, for tests. */
export async function readFolder(folder: string): Promise<SourceTree> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const pathOf = (entry: (typeof entries)[number]) => relative(folder, join(entry.parentPath, entry.name));
  const files = entries.filter((entry) => entry.isFile());
  return {
    folders: entries.filter((entry) => entry.isDirectory()).map(pathOf),
    files: await Promise.all(
      files.map(async (entry) => ({
        path: pathOf(entry),
        executable: false,
        content: await readFile(join(entry.parentPath, entry.name)),
      })),
    ),
  };
}
