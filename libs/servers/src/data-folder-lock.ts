import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ServerError } from './server-error.ts';

interface Holder {
  pid: number;
  /** In clock ticks since boot, from /proc: tells a process from a later one with the same number. */
  startedAt: string;
  /** Numbers and ticks begin anew with each boot. */
  boot: string;
}

export interface DataFolderLock {
  release(): Promise<void>;
}

/** One platform per data folder. A lock whose holder is gone, killed or from before a reboot, is taken over. */
export async function lockDataFolder(dataDir: string): Promise<DataFolderLock> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, 'lock');
  const mine = await holder(process.pid);
  if (!mine) throw new ServerError('/proc is needed to tell whether a data folder is in use');
  const draft = `${path}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(mine)}\n`);
  try {
    while (!(await linked(draft, path))) {
      const other = await read(path);
      if (other && (await isAlive(other))) {
        throw new ServerError(
          `another CestX (process ${other.pid}) works on ${dataDir}; stop it, or choose another --data`,
        );
      }
      await moveAside(path, other);
    }
  } finally {
    await rm(draft, { force: true });
  }
  return {
    async release() {
      if (same(await read(path), mine)) await rm(path, { force: true });
    },
  };
}

async function linked(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Of two that find the same dead lock, the slower one may grasp the quicker one's new lock; it puts that back. */
async function moveAside(path: string, dead: Holder | undefined): Promise<void> {
  const aside = `${path}.dead-${process.pid}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  if (!same(await read(aside), dead)) await linked(aside, path);
  await rm(aside, { force: true });
}

async function read(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const match = /"pid":(\d+),"startedAt":"(\d+)","boot":"([^"]*)"/.exec(text);
  if (!match?.[1] || !match[2]) return undefined;
  return { pid: Number(match[1]), startedAt: match[2], boot: match[3] ?? '' };
}

async function isAlive(other: Holder): Promise<boolean> {
  return same(await holder(other.pid), other);
}

async function holder(pid: number): Promise<Holder | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The second field, the program's name, may itself hold spaces and brackets, so fields count from its closing one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startedAt = fields[19];
  if (!startedAt || fields[0] === 'Z') return undefined;
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  return { pid, startedAt, boot: boot.trim() };
}

function same(a: Holder | undefined, b: Holder | undefined): boolean {
  return a?.pid === b?.pid && a?.startedAt === b?.startedAt && a?.boot === b?.boot;
}
