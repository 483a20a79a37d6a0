import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

import { paint } from '#client';
import { CestxError, labelSchema } from '#contracts';

import { UsageError } from './explain-error.ts';
import type { Session } from './session.ts';

export const starterTemplates = ['node', 'python', 'go', 'dockerfile'] as const;
export const starterStyles = ['app', 'handler'] as const;

export interface NewOptions {
  template: (typeof starterTemplates)[number];
  style: (typeof starterStyles)[number];
}

/** What stands in the starters for the name of the function. */
const placeholder = 'starter-name';

/** Writes a small project to begin with into a new folder. It is there as a whole, or not at all. */
export async function makeProject(session: Session, name: string, options: NewOptions): Promise<number> {
  const { template, style } = options;
  const checked = labelSchema.safeParse(name);
  if (!checked.success)
    throw new UsageError(`"${name}" ${checked.error.issues[0]?.message ?? 'is no name'}.`);
  if (template === 'dockerfile' && style === 'handler')
    throw new UsageError(
      'A Dockerfile says itself what starts; only node, python and go have a handler style.',
    );
  const folder = resolve(session.surroundings.folder, name);
  if (await isTaken(folder))
    throw new CestxError('conflict', `${name} is there already, and nothing is overwritten.`);
  const files = await writeStarter(`${template}-${style}`, name, folder);
  if (session.json) session.printJson({ name, folder, template, style, files });
  else {
    session.print(`${paint('Made', 'green', session.style)} ${name}: ${files.join(', ')}`);
    const runs = template === 'dockerfile' ? [] : [[`cestx local-run ${name}`, 'runs it here']];
    for (const [command = '', what = ''] of [...runs, [`cestx deploy ${name}`, 'makes it live']])
      session.print(`  ${command.padEnd(32)} ${paint(what, 'dim', session.style)}`);
    session.print(`  ${paint(`its tests: see ${name}/README.md`, 'dim', session.style)}`);
  }
  return 0;
}

/** An empty folder may be filled; anything else that has the name is somebody's. */
async function isTaken(path: string): Promise<boolean> {
  const about = await stat(path).catch(() => null);
  if (about === null) return false;
  return !about.isDirectory() || (await readdir(path)).length > 0;
}

async function writeStarter(starter: string, name: string, target: string): Promise<string[]> {
  const from = dirname(createRequire(import.meta.url).resolve(`#starters/${starter}/function.yaml`));
  const entries = await readdir(from, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(from, join(entry.parentPath, entry.name)))
    .sort();
  const half = await mkdtemp(join(dirname(target), `.${name}-`));
  try {
    for (const file of files) {
      await mkdir(dirname(join(half, file)), { recursive: true });
      const text = await readFile(join(from, file), 'utf8');
      await writeFile(join(half, file), text.replaceAll(placeholder, name));
    }
    await chmod(half, 0o755);
    await rename(half, target);
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    throw error;
  }
  return files;
}
