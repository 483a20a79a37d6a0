import { mkdir, readdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { MachineUsage } from '../machine.driver.ts';

const root = '/sys/fs/cgroup';
const controllers = ['memory', 'cpu', 'pids'] as const;
type Controller = (typeof controllers)[number];

export interface CgroupLimits {
  readonly cpu: number;
  readonly memory: number;
  readonly pids: number;
}

async function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}
async function number(path: string): Promise<number> {
  return Number.parseInt((await read(path)) ?? '0', 10) || 0;
}
async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** The folders that count and limit some processes; v2 has one for everything, v1 one for each controller. */
export interface CgroupFolders {
  readonly version: 1 | 2;
  readonly folders: Partial<Record<Controller | 'cpuacct', string>>;
}

/** What of cpu, memory and pids this process may limit for others; null is nothing at all. */
export class CgroupHome {
  readonly version: 1 | 2;
  readonly limited: readonly Controller[];
  readonly #name: string;

  private constructor(version: 1 | 2, limited: readonly Controller[], name: string) {
    this.version = version;
    this.limited = limited;
    this.#name = name;
  }

  static async find(name: string): Promise<CgroupHome | null> {
    const version = (await isThere(join(root, 'cgroup.controllers'))) ? 2 : 1;
    const limited: Controller[] = [];
    if (version === 2) {
      const home = join(root, name);
      try {
        await mkdir(home, { recursive: true });
        for (const controller of controllers) {
          await writeFile(join(root, 'cgroup.subtree_control'), `+${controller}`).catch(() => undefined);
          await writeFile(join(home, 'cgroup.subtree_control'), `+${controller}`).then(
            () => limited.push(controller),
            () => undefined,
          );
        }
      } catch {
        return null;
      }
    } else {
      for (const controller of controllers) {
        if (!(await isThere(join(root, controller, 'cgroup.procs')))) continue;
        await mkdir(join(root, controller, name), { recursive: true }).then(
          () => limited.push(controller),
          () => undefined,
        );
      }
    }
    return limited.length > 0 ? new CgroupHome(version, limited, name) : null;
  }

  folders(id: string): string[] {
    if (this.version === 2) return [join(root, this.#name, id)];
    return this.limited.map((controller) => join(root, controller, this.#name, id));
  }

  #folder(controller: Controller, id: string): string {
    return this.version === 2 ? join(root, this.#name, id) : join(root, controller, this.#name, id);
  }

  /** The files a process writes its own pid to before it becomes the program. */
  memberships(id: string): string[] {
    return this.folders(id).map((folder) => join(folder, 'cgroup.procs'));
  }

  async create(id: string, limits: CgroupLimits): Promise<void> {
    const period = 100_000;
    const quota = Math.max(1000, Math.round(limits.cpu * period));
    const settings: Record<Controller, [file: string, value: string][]> =
      this.version === 2
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
    const lists = await Promise.all(this.memberships(id).map(read));
    return [...new Set(lists.flatMap((text) => (text ?? '').split('\n').filter(Boolean).map(Number)))];
  }

  async outOfMemoryKills(id: string): Promise<number> {
    if (!this.limited.includes('memory')) return 0;
    const file = this.version === 2 ? 'memory.events' : 'memory.oom_control';
    return Number(
      /^oom_kill (\d+)/m.exec((await read(join(this.#folder('memory', id), file))) ?? '')?.[1] ?? 0,
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

  usage(id: string): Promise<MachineUsage | null> {
    if (this.version === 2) return usageIn({ version: 2, folders: { memory: this.#folder('memory', id) } });
    return usageIn({
      version: 1,
      folders: Object.fromEntries(
        this.limited.map((controller) => [controller, this.#folder(controller, id)]),
      ),
    });
  }
}

/** The cgroups of any process that is to be seen from here. */
export async function cgroupsOf(pid: number): Promise<CgroupFolders | null> {
  const text = await read(`/proc/${pid}/cgroup`);
  if (text === null) return null;
  const entries = text
    .split('\n')
    .filter(Boolean)
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line))
    .filter((match) => match !== null);
  if (await isThere(join(root, 'cgroup.controllers'))) {
    const path = entries.find((match) => match[1] === '')?.[2] ?? '/';
    return { version: 2, folders: { memory: join(root, path) } };
  }
  const folders: CgroupFolders['folders'] = {};
  for (const [, names = '', path = '/'] of entries) {
    for (const name of names.split(',')) {
      if (name === 'memory' || name === 'cpu' || name === 'pids' || name === 'cpuacct')
        folders[name] = join(root, names, path);
    }
  }
  return { version: 1, folders };
}

export async function usageIn({ version, folders }: CgroupFolders): Promise<MachineUsage | null> {
  if (version === 2) {
    const folder = folders.memory ?? root;
    const cpu = await read(join(folder, 'cpu.stat'));
    if (cpu === null) return null;
    return {
      cpuSeconds: Number(/^usage_usec (\d+)/m.exec(cpu)?.[1] ?? 0) / 1e6,
      memoryBytes: await number(join(folder, 'memory.current')),
      processes: await number(join(folder, 'pids.current')),
    };
  }
  if (!folders.memory) return null;
  return {
    cpuSeconds: folders.cpuacct ? (await number(join(folders.cpuacct, 'cpuacct.usage'))) / 1e9 : 0,
    memoryBytes: await number(join(folders.memory, 'memory.usage_in_bytes')),
    processes: folders.pids ? await number(join(folders.pids, 'pids.current')) : 0,
  };
}
