import { readdir, readFile } from 'node:fs/promises';

/** Ticks of the clock in a second (`getconf CLK_TCK`); the same on every Linux there is today. */
const ticksPerSecond = 100;

/** Megabytes of a process and all below it; pages they share are counted once (proportional set size, proc(5)). */
export async function memoryOf(pid: number): Promise<number> {
  let kilobytes = 0;
  for (const { id } of await treeOf(pid)) {
    const rollup = await readFile(`/proc/${id}/smaps_rollup`, 'utf8').catch(() => '');
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return kilobytes / 1024;
}

/** Seconds on a core of a process and all below it, those that ended and were waited for included. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const tree = await treeOf(pid);
  return tree.reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond;
}

async function treeOf(pid: number): Promise<{ id: number; ticks: number }[]> {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of await readdir('/proc')) {
    const stat = /^\d+$/.test(name) ? await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '') : '';
    // The name may hold anything; behind it: state, parent, nine others, then utime, stime, cutime, cstime.
    const [, parent, ...rest] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = rest.slice(9, 13).reduce((sum, one) => sum + one, 0);
    if (parent !== undefined) processes.set(Number(name), { parent, ticks });
  }
  const isBelow = (child: number): boolean =>
    child === pid || (processes.has(child) && isBelow(processes.get(child)?.parent ?? 0));
  return [...processes].filter(([id]) => isBelow(id)).map(([id, { ticks }]) => ({ id, ticks }));
}
