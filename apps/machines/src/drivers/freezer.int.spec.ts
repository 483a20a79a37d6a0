import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { eventually } from '#testing';

import { cgroupRoot, oneFolder, usageIn, type CgroupFolders } from './cgroup-files.ts';
import { isFrozen, setFrozen } from './freezer.ts';

/** Every freezer this host has; where v1 limits, v2 may be mounted beside it, and freezes just as well. */
const freezers: { name: string; home: string; of(folder: string): CgroupFolders }[] = [
  {
    name: 'cgroup v1',
    home: join(cgroupRoot, 'freezer'),
    of: (folder) => ({ version: 1, folders: { freezer: folder } }),
  },
  { name: 'cgroup v2', home: cgroupRoot, of: oneFolder },
  { name: 'cgroup v2 beside v1', home: join(cgroupRoot, 'unified'), of: oneFolder },
];
const isRoot = process.getuid?.() === 0;
const here = freezers.filter(({ home, of }) =>
  existsSync(join(home, of(home).version === 2 ? 'cgroup.controllers' : 'cgroup.procs')),
);

describe.skipIf(!isRoot).each(here)('the freezer of $name', ({ home, of }) => {
  let folder: string;
  let child: ChildProcess;
  let ticks: number;
  let cgroups: CgroupFolders;

  beforeEach(async () => {
    folder = join(home, `cestx-freezer-test-${process.pid}`);
    await mkdir(folder);
    child = spawn(process.execPath, ['-e', `setInterval(() => process.stdout.write('.'), 2)`]);
    ticks = 0;
    child.stdout?.on('data', (chunk: Buffer) => (ticks += chunk.length));
    await writeFile(join(folder, 'cgroup.procs'), String(child.pid));
    cgroups = of(folder);
    await eventually(() => ticks > 0);
  });
  afterEach(async () => {
    await setFrozen(cgroups, false);
    child.kill('SIGKILL');
    // Members leave a little later than they end.
    if (existsSync(folder)) await eventually(() => rmdir(folder).then(() => true));
  });

  test('stops every process and lets it go on, as often as one likes', async () => {
    for (let cycle = 0; cycle < 100; cycle++) {
      expect(await setFrozen(cgroups, true)).toBe('done');
      expect(await isFrozen(cgroups)).toBe(true);
      expect(await setFrozen(cgroups, false)).toBe('done');
      expect(await isFrozen(cgroups)).toBe(false);
    }
    await setFrozen(cgroups, true);
    await delay(50);
    const before = ticks;
    await delay(50);
    expect(ticks).toBe(before);
    await setFrozen(cgroups, false);
    await eventually(() => ticks > before);
    if (cgroups.version === 2) expect((await usageIn(cgroups))?.cpuSeconds).toBeGreaterThan(0);
  });

  test('says so when there is nothing left to freeze', async () => {
    child.kill('SIGKILL');
    await eventually(() => rmdir(folder).then(() => true));
    expect(await setFrozen(cgroups, true)).toBe('gone');
  });
});
