import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

import { findFile, type BuildPhase, type BuildPlan, type SourceTree } from '#builds';
import { packSource } from '#client';
import { CestxError } from '#contracts';

/**
 * The folder in the user's cache where a project is built and run, apart from the project itself. What was installed stays
 * for the next run, until one of the files that the install follows from changes.
 */
export class WorkFolder {
  /** Where the built source lies. */
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, 'source');
  }

  /** One at a time: who runs a project a second time is told so. */
  static async open(
    project: string,
    environment: Readonly<Record<string, string | undefined>>,
  ): Promise<WorkFolder> {
    const cache = environment['XDG_CACHE_HOME'] || join(environment['HOME'] || homedir(), '.cache');
    const name = createHash('sha256').update(project).digest('hex').slice(0, 16);
    const folder = join(cache, 'cestx', 'local-run', name);
    await mkdir(folder, { recursive: true });
    const lock = join(folder, 'pid');
    const owner = Number(await readFile(lock, 'utf8').catch(() => ''));
    if (owner > 0 && owner !== process.pid && isAlive(owner))
      throw new CestxError('conflict', `This project runs already, in process ${owner}; end that first.`);
    await writeFile(lock, String(process.pid));
    return new WorkFolder(folder);
  }

  close(): Promise<void> {
    return rm(join(this.#folder, 'pid'), { force: true });
  }

  /** Writes the source of a plan. `install` are the phases whose results are not there yet; `installed` is called after them. */
  async prepare(plan: BuildPlan, programs: string): Promise<Preparation> {
    // What only the build needs may stay: it is needed again the next time.
    const phases = plan.phases.filter(({ name }) => name !== 'prune');
    const first = phases.findIndex(({ reads }) => reads === 'all');
    const installs = phases.slice(0, first === -1 ? phases.length : first);
    const key = keyOf(plan, installs, programs);
    const mark = join(this.#folder, 'installed');
    const present = (await readFile(mark, 'utf8').catch(() => '')) === key;
    if (!present) await rm(mark, { force: true });
    const kept = present ? installs.flatMap(({ makes }) => (makes === 'all' ? [] : makes)) : [];
    await clearExcept(this.path, new Set(kept.map((folder) => folder.split('/')[0])));
    await writeTree(plan.source, this.path);
    return {
      install: present ? [] : installs,
      build: phases.slice(installs.length),
      installed: () => writeFile(mark, key),
    };
  }
}

interface Preparation {
  readonly install: readonly BuildPhase[];
  readonly build: readonly BuildPhase[];
  readonly installed: () => Promise<void>;
}

/** The files of a folder that a deployment would hand in. */
export async function readSource(folder: string): Promise<SourceTree> {
  const { files } = await packSource(folder);
  const read = async (path: string) => {
    const file = await open(join(folder, path));
    try {
      const { mode } = await file.stat();
      return { path, executable: (mode & 0o111) !== 0, content: await file.readFile() };
    } finally {
      await file.close();
    }
  };
  const tree = [];
  for (const path of files) tree.push(await read(path));
  return { folders: [], files: tree };
}

function keyOf(plan: BuildPlan, installs: readonly BuildPhase[], programs: string): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([programs, process.version, plan.buildEnvironment, installs]));
  for (const { reads } of installs) {
    for (const path of reads === 'all' ? [] : reads)
      hash.update(`\0${path}\0`).update(findFile(plan.source, path)?.content ?? '');
  }
  return hash.digest('hex');
}

async function clearExcept(folder: string, kept: ReadonlySet<string | undefined>): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function writeTree(tree: SourceTree, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const file of tree.files) {
    const path = join(target, file.path);
    if (file.path.includes('/')) await mkdir(dirname(path), { recursive: true });
    await writeFile(path, file.content, { mode: file.executable ? 0o755 : 0o644 });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
