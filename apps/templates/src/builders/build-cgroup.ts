import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { BuildLimits } from './builder.ts';

const root = '/sys/fs/cgroup';
const parent = 'cestx-builds';
/** Of one build. */
export const mostProcesses = 512;
const periodUs = 100_000;

/**
 * The control group of one build: what all its processes together may use. Only root can make one, and not everywhere;
 * where it cannot be made a build runs with the limits per process alone.
 */
export class BuildCgroup {
  readonly #folders: string[];

  private constructor(folders: string[]) {
    this.#folders = folders;
  }

  static async create(name: string, limits: BuildLimits): Promise<BuildCgroup | null> {
    const group = new BuildCgroup(await foldersOf(name));
    try {
      await group.remove();
      await (group.#unified ? group.#setUpUnified(limits) : group.#setUpClassic(limits));
      return group;
    } catch {
      await group.remove();
      return null;
    }
  }

  /** Removes the group a killed build left; its processes died with it. */
  static async clear(name: string): Promise<void> {
    await new BuildCgroup(await foldersOf(name)).remove();
  }

  /** A wrapper that moves itself into the group and then becomes the command behind it. */
  get join(): string[] {
    const files = this.#folders.map((folder) => join(folder, 'cgroup.procs'));
    return ['/bin/sh', '-c', `for file in ${files.join(' ')}; do echo 0 > "$file"; done; exec "$@"`, 'sh'];
  }

  async ranOutOfMemory(): Promise<boolean> {
    const file = this.#unified ? 'memory.events' : 'memory.oom_control';
    const text = await readFile(join(this.#folders[0] ?? '', file), 'utf8').catch(() => '');
    return /^oom_kill [1-9]/m.test(text);
  }

  async remove(): Promise<void> {
    for (const folder of this.#folders) {
      // The kernel takes a moment to let go of processes that were killed.
      for (let attempt = 0; attempt < 40; attempt++) {
        const busy = await rmdir(folder).then(
          () => false,
          (error: NodeJS.ErrnoException) => error.code === 'EBUSY',
        );
        if (!busy) break;
        await sleep(25);
      }
    }
  }

  get #unified(): boolean {
    return this.#folders.length === 1;
  }

  async #setUpUnified({ memory, cpu }: BuildLimits): Promise<void> {
    const [folder = ''] = this.#folders;
    await mkdir(join(root, parent), { recursive: true });
    for (const above of [root, join(root, parent)]) {
      await writeFile(join(above, 'cgroup.subtree_control'), '+memory +cpu +pids');
    }
    await mkdir(folder);
    await writeFile(join(folder, 'memory.max'), String(memory));
    await writeFile(join(folder, 'memory.swap.max'), '0').catch(() => undefined);
    await writeFile(join(folder, 'cpu.max'), `${Math.round(cpu * periodUs)} ${periodUs}`);
    await writeFile(join(folder, 'pids.max'), String(mostProcesses));
  }

  async #setUpClassic({ memory, cpu }: BuildLimits): Promise<void> {
    const [memoryFolder = '', cpuFolder = '', pidsFolder = ''] = this.#folders;
    for (const folder of this.#folders) await mkdir(folder, { recursive: true });
    await writeFile(join(memoryFolder, 'memory.limit_in_bytes'), String(memory));
    await writeFile(join(cpuFolder, 'cpu.cfs_period_us'), String(periodUs));
    await writeFile(join(cpuFolder, 'cpu.cfs_quota_us'), String(Math.round(cpu * periodUs)));
    await writeFile(join(pidsFolder, 'pids.max'), String(mostProcesses));
  }
}

/** One folder where the system has the unified hierarchy, else one per controller. */
async function foldersOf(name: string): Promise<string[]> {
  const unified = await access(join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  );
  if (unified) return [join(root, parent, name)];
  return ['memory', 'cpu', 'pids'].map((controller) => join(root, controller, parent, name));
}
