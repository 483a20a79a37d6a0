import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface FoundKey {
  key: string;
  /** Where it came from, for people. */
  from: string;
}

/**
 * The key of control calls: CESTX_KEY, else `admin-key` in CESTX_DATA, else in `.cestx` of this folder or the nearest
 * one above it that has one.
 */
export async function findKey(
  environment: Readonly<Record<string, string | undefined>>,
  folder: string,
): Promise<FoundKey | null> {
  const named = environment['CESTX_KEY']?.trim();
  if (named) return { key: named, from: 'CESTX_KEY' };
  const data = environment['CESTX_DATA'];
  const candidates = data
    ? [join(data, 'admin-key')]
    : ancestors(folder).map((at) => join(at, '.cestx', 'admin-key'));
  for (const path of candidates) {
    const key = (await readFile(path, 'utf8').catch(() => '')).trim();
    if (key) return { key, from: path };
  }
  return null;
}

function ancestors(folder: string): string[] {
  const above = dirname(folder);
  return above === folder ? [folder] : [folder, ...ancestors(above)];
}
