import { readdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

import { CestxError } from '#contracts';

import type { Language } from './build-plan.ts';

/** What a build without containers needs of this machine, and how to get it. */
const needs: Record<Language, { program: string; help: string }> = {
  node: { program: 'npm', help: 'install Node.js with npm from nodejs.org or your distribution' },
  python: {
    program: 'python3',
    help: 'install Python with its venv module (on Debian: apt-get install python3-venv)',
  },
  go: {
    program: 'go',
    help: 'install Go from go.dev or your distribution (on Debian: apt-get install golang)',
  },
};

/**
 * Where the program lies that builds this language. One that is `usable` by whoever runs it comes first: a Python in
 * somebody's home folder is no use to programs that run as nobody.
 */
export async function findProgram(
  language: Language,
  searchPath: string,
  usable: (path: string) => Promise<boolean>,
): Promise<string> {
  const { program, help } = needs[language];
  const found: string[] = [];
  const folders = [dirname(process.execPath), ...searchPath.split(delimiter), ...usualFolders];
  for (const folder of new Set(
    folders.filter((one) => one.startsWith('/') && !one.endsWith('node_modules/.bin')),
  )) {
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes(program)) found.push(join(folder, program));
  }
  for (const path of found) if (await usable(path)) return path;
  if (found[0] !== undefined) return found[0];
  throw new CestxError(
    'build-failed',
    `${program} is not installed on this machine, and builds without containers need it; ${help}, or start a container engine.`,
  );
}

const usualFolders = ['/usr/local/bin', '/usr/bin', '/usr/local/go/bin'];
