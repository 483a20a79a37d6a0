import { readFile, stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join } from 'node:path';

import type { MachineUsage } from '../machine.driver.ts';

export const cgroupRoot = '/sys/fs/cgroup';
const controllers = ['memory', 'cpu', 'cpuacct', 'pids', 'freezer'] as const;
type Controller = (typeof controllers)[number];

/** The folders that count, limit and freeze some processes; v2 has one for everything, v1 one for each controller. */
export interface CgroupFolders {
  readonly version: 1 | 2;
  readonly folders: Readonly<Partial<Record<Controller, string>>>;
}

export async function readText(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** v2 when its files are at the root; a v2 hierarchy mounted beside v1 (`unified`) counts nothing for us. */
export async function cgroupVersion(): Promise<1 | 2> {
  return (await stat(join(cgroupRoot, 'cgroup.controllers')).catch(() => null)) ? 2 : 1;
}

/** v2: the same folder under every controller's name. */
export function oneFolder(folder: string): CgroupFolders {
  return { version: 2, folders: Object.fromEntries(controllers.map((name) => [name, folder])) };
}

/**
 * The cgroups of a container, found through its first process; null when they are not to be seen from here.
 * Whether the engine names them itself (`/docker/<id>`) or systemd does (`docker-<id>.scope`), the container's id is part
 * of one segment; what lies below belongs to the container. A path without it is somebody else's: the engine runs on
 * another host, and its pid means another process here.
 */
export async function cgroupsOfContainer(pid: number, containerId: string): Promise<CgroupFolders | null> {
  const text = await readText(`/proc/${pid}/cgroup`);
  if (text === null) return null;
  return foldersIn(text, containerId, await cgroupVersion());
}

/** What `/proc/<pid>/cgroup` says, lines of `number:controllers:path`, as folders. */
export function foldersIn(text: string, containerId: string, version: 1 | 2): CgroupFolders | null {
  const folders: Partial<Record<Controller, string>> = {};
  for (const [, names = '', path = ''] of text.matchAll(/^\d+:([^:]*):(.*)$/gm)) {
    const segments = path.split('/');
    const own = segments.findIndex((segment) => segment.includes(containerId));
    if (own < 0) continue;
    const inside = segments.slice(0, own + 1).join('/');
    if (version === 2 && names === '') return oneFolder(join(cgroupRoot, inside));
    for (const name of controllers)
      if (names.split(',').includes(name)) folders[name] = join(cgroupRoot, names, inside);
  }
  return Object.keys(folders).length > 0 ? { version, folders } : null;
}

/**
 * What they used; null when they are gone. Memory is the working set, as Kubernetes and `docker stats` count it: without
 * the page cache the kernel may drop at any time.
 */
export async function usageIn({ version, folders }: CgroupFolders): Promise<MachineUsage | null> {
  const { memory, cpu, cpuacct, pids } = folders;
  const field = (folder: string | undefined, file: string) =>
    folder ? readText(join(folder, file)) : Promise.resolve(null);
  const v2 = version === 2;
  const [used, limit, statistics, time, processes] = await Promise.all([
    field(memory, v2 ? 'memory.current' : 'memory.usage_in_bytes'),
    field(memory, v2 ? 'memory.max' : 'memory.limit_in_bytes'),
    field(memory, 'memory.stat'),
    v2 ? field(cpu, 'cpu.stat') : field(cpuacct, 'cpuacct.usage'),
    field(pids, 'pids.current'),
  ]);
  if (used === null && time === null) return null;
  const droppable = v2 ? /^inactive_file (\d+)/m : /^total_inactive_file (\d+)/m;
  return {
    // v2 counts microseconds, v1 nanoseconds.
    cpuSeconds: v2 ? Number(/^usage_usec (\d+)/m.exec(time ?? '')?.[1] ?? 0) / 1e6 : Number(time ?? 0) / 1e9,
    memoryBytes: Math.max(0, Number(used ?? 0) - Number(droppable.exec(statistics ?? '')?.[1] ?? 0)),
    // `max`, and v1's number near 2^63, are no limit: then the host's memory is.
    memoryLimitBytes: Math.min(Number(limit ?? Number.NaN) || totalmem(), totalmem()),
    processes: Number(processes ?? 0),
  };
}
