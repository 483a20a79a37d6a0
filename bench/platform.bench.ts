import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startAllInOne } from './all-in-one.ts';
import { median, report } from './report.ts';

const warmStarts = 5;
const settleMs = 5000;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
try {
  const first = await startAllInOne(folder, 'process');
  report({ name: 'all-in-one, first start to ready', value: first.readyMs / 1000, unit: 's' });
  await first.stop();
  const starts: number[] = [];
  const memory: number[] = [];
  for (let turn = 0; turn < warmStarts; turn++) {
    const platform = await startAllInOne(folder, 'process');
    starts.push(platform.readyMs / 1000);
    if (turn === 0) {
      await sleep(settleMs);
      memory.push(await memoryOfTree(platform.process.pid ?? 0));
    }
    await platform.stop();
  }
  const start = median(starts);
  const rest = median(memory);
  report({ name: 'all-in-one, warm start to ready', value: start, unit: 's', gate: '< 3 s', met: start < 3 });
  report({
    name: 'all-in-one at rest, all processes (PSS)',
    value: rest,
    unit: 'MB',
    gate: '< 350 MB',
    met: rest < 350,
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Megabytes of a process and all below it; pages they share are counted once (proportional set size, proc(5)). */
async function memoryOfTree(pid: number): Promise<number> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    const stat = /^\d+$/.test(name) ? await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '') : '';
    const parent = /^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1];
    if (parent) parents.set(Number(name), Number(parent));
  }
  const isBelow = (child: number): boolean =>
    child === pid || (parents.has(child) && isBelow(parents.get(child) ?? 0));
  let kilobytes = 0;
  for (const process of parents.keys()) {
    if (!isBelow(process)) continue;
    const rollup = await readFile(`/proc/${process}/smaps_rollup`, 'utf8').catch(() => '');
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return kilobytes / 1024;
}
