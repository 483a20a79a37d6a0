import { readdir, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { buffer } from 'node:stream/consumers';

import ignore, { type Ignore } from 'ignore';
import { create } from 'tar';

/** A folder that cannot be handed in; `help` says what to change. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly help: string | undefined;

  constructor(message: string, help?: string) {
    super(message);
    this.help = help;
  }
}

export interface PackedSource {
  archive: Buffer;
  /** Paths in the archive, in order. */
  files: string[];
}

/** Never part of a source: history and what the build installs itself. */
const neverPacked = new Set(['.git', 'node_modules', '.cestx']);
const ignoreFiles = ['.gitignore', '.cestxignore'];

interface Rules {
  /** Where the ignore file lies, relative to the source; `''` is the source itself. */
  folder: string;
  matcher: Ignore;
}

/** A folder as tar.gz, without what its ignore files name. The same content gives the same bytes. */
export async function packSource(folder: string): Promise<PackedSource> {
  const about = await stat(folder).catch(() => null);
  if (!about) throw new SourceError(`There is no folder ${folder}.`);
  if (!about.isDirectory()) throw new SourceError(`${folder} is not a folder.`);
  const files = await collect(folder, '', []);
  if (files.length === 0) throw new SourceError(`${folder} has no files to deploy.`);
  const archive = await buffer(
    create({ cwd: folder, gzip: true, portable: true, mtime: new Date(0), noDirRecurse: true }, files),
  );
  return { archive, files };
}

async function collect(root: string, folder: string, above: readonly Rules[]): Promise<string[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const rules = [...above, ...(await readRules(root, folder))];
  const files: string[] = [];
  for (const entry of entries) {
    const path = posix.join(folder, entry.name);
    if (neverPacked.has(entry.name) || isIgnored(path, entry.isDirectory(), rules)) continue;
    if (entry.isDirectory()) files.push(...(await collect(root, path, rules)));
    else if (entry.isFile()) files.push(path);
    else {
      const kind = entry.isSymbolicLink() ? 'a symbolic link' : 'not a plain file';
      throw new SourceError(
        `${path} is ${kind}, which is not packed.`,
        'Put a plain file there, or name it in .cestxignore.',
      );
    }
  }
  return files;
}

async function readRules(root: string, folder: string): Promise<Rules[]> {
  const texts = await Promise.all(
    ignoreFiles.map((name) => readFile(join(root, folder, name), 'utf8').catch(() => '')),
  );
  const text = texts.join('\n').trim();
  return text ? [{ folder, matcher: ignore().add(text) }] : [];
}

/** As git does: the deepest ignore file that has an opinion decides. */
function isIgnored(path: string, isFolder: boolean, rules: readonly Rules[]): boolean {
  for (const { folder, matcher } of rules.toReversed()) {
    const relative = folder ? path.slice(folder.length + 1) : path;
    const verdict = matcher.test(isFolder ? `${relative}/` : relative);
    if (verdict.ignored) return true;
    if (verdict.unignored) return false;
  }
  return false;
}
