import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { readText, type CgroupFolders } from './cgroup-files.ts';

/** Milliseconds until a freeze counts as impossible; a process in an uninterruptible wait holds it up. */
const patienceMs = 5000;

/** The freezer of some cgroups; null where there is none. */
function freezerOf({ version, folders }: CgroupFolders): { file: string; words: [string, string] } | null {
  if (!folders.freezer) return null;
  return version === 2
    ? { file: join(folders.freezer, 'cgroup.freeze'), words: ['0', '1'] }
    : { file: join(folders.freezer, 'freezer.state'), words: ['THAWED', 'FROZEN'] };
}

/**
 * Freezes or thaws by writing the kernel's own file, and waits until it is so: the engine's `unpause` starts a program to
 * do the same, for five times the time.
 * `gone`: there are no such cgroups any more, nothing runs. `refused`: not from here (no right to write, or the kernel
 * could not stop every process in 5 s; then nothing stays frozen).
 */
export async function setFrozen(
  cgroups: CgroupFolders,
  wanted: boolean,
): Promise<'done' | 'gone' | 'refused'> {
  const freezer = freezerOf(cgroups);
  if (!freezer) return 'refused';
  const { file, words } = freezer;
  const deadline = Date.now() + patienceMs;
  try {
    for (let attempt = 0; ; attempt++) {
      // v1 may stay at FREEZING when a process forks meanwhile; writing again takes up the newcomers, and to let go now and
      // then gets past those that wait for a frozen one (runc does the same).
      if (cgroups.version === 1 && wanted && attempt % 50 === 49) await writeFile(file, words[0]);
      if (attempt === 0 || cgroups.version === 1) await writeFile(file, words[wanted ? 1 : 0]);
      if ((await reached(cgroups, file)) === wanted) return 'done';
      if (Date.now() > deadline) {
        if (wanted) await writeFile(file, words[0]);
        return 'refused';
      }
      await delay(attempt < 10 ? 1 : 10);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENODEV') return 'gone';
    if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return 'refused';
    throw error;
  }
}

/** True when every process stands still, false when every one may run, null in between. */
async function reached({ version, folders }: CgroupFolders, file: string): Promise<boolean | null> {
  if (version === 1) {
    const state = (await readFile(file, 'utf8')).trim();
    return state === 'FREEZING' ? null : state === 'FROZEN';
  }
  const events = await readFile(join(folders.freezer ?? '', 'cgroup.events'), 'utf8');
  return /^frozen 1$/m.test(events);
}

/** Whether it was asked to be frozen, by whomever, though some of its processes may still be on their way there. */
export async function isFrozen(cgroups: CgroupFolders): Promise<boolean> {
  const freezer = freezerOf(cgroups);
  const state = freezer && (await readText(freezer.file))?.trim();
  return state === 'FROZEN' || state === 'FREEZING' || state === '1';
}
