import { readdir, readFile, readlink } from 'node:fs/promises';

import type { Listener } from '../machine.driver.ts';

async function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** The fields of /proc/<pid>/stat behind the command's name, which may itself hold spaces and brackets. */
async function statFields(pid: number): Promise<string[] | null> {
  const text = await read(`/proc/${pid}/stat`);
  return text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? null;
}

/** A pid is used again one day; pid and start time together are not. */
export async function startTimeOf(pid: number): Promise<string | null> {
  const fields = await statFields(pid);
  // Zombies are gone for our purpose.
  return !fields || fields[0] === 'Z' ? null : (fields[19] ?? null);
}

export async function allPids(): Promise<number[]> {
  const names = await readdir('/proc').catch(() => []);
  return names.map(Number).filter((pid) => pid > 0);
}

export async function pidsOfGroup(group: number): Promise<number[]> {
  const members = await Promise.all(
    (await allPids()).map(async (pid) => {
      const fields = await statFields(pid);
      return fields && fields[0] !== 'Z' && Number(fields[2]) === group ? pid : null;
    }),
  );
  return members.filter((pid) => pid !== null);
}

/** The pids whose environment holds `NAME=value`; unreadable ones are somebody else's. */
export async function pidsWithEnvironment(name: string, value: string): Promise<number[]> {
  const wanted = `\0${name}=${value}\0`;
  const found = await Promise.all(
    (await allPids()).map(async (pid) =>
      `\0${(await read(`/proc/${pid}/environ`)) ?? ''}`.includes(wanted) ? pid : null,
    ),
  );
  return found.filter((pid) => pid !== null);
}

/** Seconds of cpu and bytes of memory of some processes, for when no cgroup counts them. */
export async function usageOf(pids: readonly number[]): Promise<{ cpuSeconds: number; memoryBytes: number }> {
  const usages = await Promise.all(
    pids.map(async (pid) => {
      const fields = (await statFields(pid)) ?? [];
      // utime + stime in ticks of 10 ms; rss in pages of 4 KiB.
      return { ticks: Number(fields[11] ?? 0) + Number(fields[12] ?? 0), pages: Number(fields[21] ?? 0) };
    }),
  );
  return {
    cpuSeconds: usages.reduce((sum, { ticks }) => sum + ticks / 100, 0),
    memoryBytes: usages.reduce((sum, { pages }) => sum + pages * 4096, 0),
  };
}

/** 127.0.0.11, where the engine itself answers DNS inside each container. */
const resolverOfEngine = '0B00007F:';

interface ListeningSocket extends Listener {
  readonly inode: string;
}

async function listeningSockets(pid: number | 'self'): Promise<ListeningSocket[] | null> {
  const tables = await Promise.all([read(`/proc/${pid}/net/tcp`), read(`/proc/${pid}/net/tcp6`)]);
  if (tables[0] === null) return null;
  return tables.flatMap((table) =>
    (table ?? '')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A' && !fields[1]?.startsWith(resolverOfEngine))
      .map((fields) => {
        const [address = '', port = '0'] = (fields[1] ?? '').split(':');
        return {
          port: Number.parseInt(port, 16),
          // 127.0.0.0/8, ::1 and ::ffff:127.0.0.0/8 as the kernel prints them (little endian words).
          reachable: !/^(.{6}7F|0{24}01000000|0{16}FFFF0000.{6}7F)$/.test(address),
          inode: fields[9] ?? '',
        };
      }),
  );
}

/** The sockets of a container's network namespace; null when `pid` is not to be seen from here. */
export async function listenersInNamespaceOf(pid: number): Promise<Listener[] | null> {
  const [theirs, ours] = await Promise.all(
    [`/proc/${pid}/ns/net`, '/proc/self/ns/net'].map((path) => readlink(path).catch(() => null)),
  );
  if (theirs === null || theirs === ours) return null;
  const sockets = await listeningSockets(pid);
  return sockets?.map(({ port, reachable }) => ({ port, reachable })) ?? null;
}

/** The sockets that some processes of our own namespace hold; null when their files cannot be read. */
export async function listenersOf(pids: readonly number[]): Promise<Listener[] | null> {
  const sockets = await listeningSockets('self');
  if (!sockets) return null;
  const inodes = new Set<string>();
  for (const pid of pids) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch((error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' || error.code === 'ESRCH' ? [] : null,
    );
    if (!descriptors) return null;
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (target.startsWith('socket:[')) inodes.add(target.slice(8, -1));
    }
  }
  // Dialled over loopback, so a program that listens only there can be called all the same.
  return sockets.filter(({ inode }) => inodes.has(inode)).map(({ port }) => ({ port, reachable: true }));
}
