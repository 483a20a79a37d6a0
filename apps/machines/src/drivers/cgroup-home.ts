import { mkdir, readdir, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { cgroupRoot, cgroupVersion, oneFolder, readText, type CgroupFolders } from './cgroup-files.ts';

const limiting = ['memory', 'cpu', 'pids'] as const;
type Limiting = (typeof limiting)[number];
/** v1 only: what freezes and what counts cpu time are controllers of their own there. */
const further = ['freezer', 'cpuacct'] as const;
type Controller = Limiting | (typeof further)[number];

export interface CgroupLimits {
  readonly cpu: number;
  readonly memory: number;
  readonly pids: number;
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** The cgroups this process may make for others; `find` gives null where that is nothing at all. */
export class CgroupHome {
  readonly limited: readonly Limiting[];
  readonly #version: 1 | 2;
  readonly #mounted: readonly Controller[];
  readonly #name: string;

  private constructor(version: 1 | 2, mounted: readonly Controller[], name: string) {
    this.#version = version;
    this.#mounted = mounted;
    this.limited = limiting.filter((controller) => mounted.includes(controller));
    this.#name = name;
  }

  static async find(name: string): Promise<CgroupHome | null> {
    const version = await cgroupVersion();
    const mounted: Controller[] = [];
    if (version === 2) {
      const home = join(cgroupRoot, name);
      try {
        await mkdir(home, { recursive: true });
        for (const controller of limiting) {
          await writeFile(join(cgroupRoot, 'cgroup.subtree_control'), `+${controller}`).catch(
            () => undefined,
          );
          await writeFile(join(home, 'cgroup.subtree_control'), `+${controller}`).then(
            () => mounted.push(controller),
            () => undefined,
          );
        }
      } catch {
        return null;
      }
    } else {
      for (const controller of [...limiting, ...further]) {
        if (!(await isThere(join(cgroupRoot, controller, 'cgroup.procs')))) continue;
        await mkdir(join(cgroupRoot, controller, name), { recursive: true }).then(
          () => mounted.push(controller),
          () => undefined,
        );
      }
    }
    return mounted.length > 0 ? new CgroupHome(version, mounted, name) : null;
  }

  folders(id: string): string[] {
    if (this.#version === 2) return [join(cgroupRoot, this.#name, id)];
    return this.#mounted.map((controller) => this.#folder(controller, id));
  }

  #folder(controller: Controller, id: string): string {
    return this.#version === 2
      ? join(cgroupRoot, this.#name, id)
      : join(cgroupRoot, controller, this.#name, id);
  }

  /** The files a process writes its own pid to before it becomes the program. */
  memberships(id: string): string[] {
    return this.folders(id).map((folder) => join(folder, 'cgroup.procs'));
  }

  async create(id: string, limits: CgroupLimits): Promise<void> {
    const period = 100_000;
    const quota = Math.max(1000, Math.round(limits.cpu * period));
    const settings: Record<Limiting, [file: string, value: string][]> =
      this.#version === 2
        ? {
            memory: [
              ['memory.max', String(limits.memory)],
              ['memory.swap.max', '0'],
            ],
            cpu: [['cpu.max', `${quota} ${period}`]],
            pids: [['pids.max', String(limits.pids)]],
          }
        : {
            memory: [
              ['memory.limit_in_bytes', String(limits.memory)],
              ['memory.memsw.limit_in_bytes', String(limits.memory)],
            ],
            cpu: [
              ['cpu.cfs_period_us', String(period)],
              ['cpu.cfs_quota_us', String(quota)],
            ],
            pids: [['pids.max', String(limits.pids)]],
          };
    for (const folder of this.folders(id)) await mkdir(folder, { recursive: true });
    for (const controller of this.limited) {
      for (const [file, value] of settings[controller]) {
        // Swap accounting may be off; then there is no such file and nothing to limit.
        const optional = file.includes('swap') || file.includes('memsw');
        await writeFile(join(this.#folder(controller, id), file), value).catch((error: unknown) => {
          if (!optional) throw error;
        });
      }
    }
  }

  async members(id: string): Promise<number[]> {
    const lists = await Promise.all(this.memberships(id).map(readText));
    return [...new Set(lists.flatMap((text) => (text ?? '').split('\n').filter(Boolean).map(Number)))];
  }

  async outOfMemoryKills(id: string): Promise<number> {
    if (!this.limited.includes('memory')) return 0;
    const file = this.#version === 2 ? 'memory.events' : 'memory.oom_control';
    return Number(
      /^oom_kill (\d+)/m.exec((await readText(join(this.#folder('memory', id), file))) ?? '')?.[1] ?? 0,
    );
  }

  /** Removes what earlier lives left; folders with members stay. */
  async sweep(): Promise<void> {
    for (const home of this.folders('.')) {
      const entries = await readdir(home, { withFileTypes: true }).catch(() => []);
      for (const entry of entries)
        if (entry.isDirectory()) await rmdir(join(home, entry.name)).catch(() => undefined);
    }
  }

  /** Removes the home itself when no machine is left in it. */
  async close(): Promise<void> {
    for (const folder of this.folders('.')) await rmdir(folder).catch(() => undefined);
  }

  async remove(id: string): Promise<void> {
    for (const folder of this.folders(id)) {
      // The kernel lets go of ended members a little later than their exit.
      for (let attempt = 0; attempt < 40; attempt++) {
        const error = await rmdir(folder).catch((thrown: NodeJS.ErrnoException) => thrown);
        if (!error || error.code === 'ENOENT') break;
        await delay(25);
      }
    }
  }

  /** All folders of a machine, as whoever measures and freezes needs them. */
  cgroups(id: string): CgroupFolders {
    if (this.#version === 2) return oneFolder(join(cgroupRoot, this.#name, id));
    return {
      version: 1,
      folders: Object.fromEntries(
        this.#mounted.map((controller) => [controller, this.#folder(controller, id)]),
      ),
    };
  }
}
