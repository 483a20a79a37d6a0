import { access, mkdir, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { mostProcesses } from './build-cgroup.ts';

const root = '/sys/fs/cgroup';
const parent = 'cestx-builds';

/**
 * The control group that the engine puts the containers of one build into: it limits their processes. Only root on the
 * engine's own host can make one; without it they are limited by memory alone.
 */
export class EngineCgroup {
  /** As the engine names it. */
  readonly path: string;
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
    this.path = `/${parent}/${name}`;
  }

  static async create(name: string): Promise<EngineCgroup | null> {
    if (process.getuid?.() !== 0) return null;
    const group = new EngineCgroup(name);
    try {
      const unified = await isUnified();
      const folder = join(root, unified ? '' : 'pids', parent, name);
      await mkdir(folder, { recursive: true });
      if (unified) {
        for (const above of [root, join(root, parent)]) {
          await writeFile(join(above, 'cgroup.subtree_control'), '+pids');
        }
      }
      await writeFile(join(folder, 'pids.max'), String(mostProcesses));
      return group;
    } catch {
      await group.remove();
      return null;
    }
  }

  /** Removes the group a killed build left. */
  static async clear(name: string): Promise<void> {
    if (process.getuid?.() === 0) await new EngineCgroup(name).remove();
  }

  /** The engine has made it for every controller. */
  async remove(): Promise<void> {
    const controllers = (await isUnified()) ? [''] : await readdir(root).catch(() => []);
    for (const controller of controllers) {
      await removeWhenEmpty(join(root, controller, parent, this.#name));
    }
  }
}

/** The engine takes a moment to end a build that was aborted. */
async function removeWhenEmpty(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt++) {
    const busy = await rmdir(folder).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === 'EBUSY' || error.code === 'ENOTEMPTY',
    );
    if (!busy) return;
    await sleep(25);
  }
}

async function isUnified(): Promise<boolean> {
  return await access(join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  );
}
