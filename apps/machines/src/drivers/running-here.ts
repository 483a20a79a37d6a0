import type { ContainerInspectInfo } from 'dockerode';

import { cgroupsOfContainer, type CgroupFolders } from './cgroup-files.ts';
import { startTimeOf } from './proc-files.ts';

/** A running container whose processes are to be seen from here: all that need not be asked again until it ends. */
export interface RunningHere {
  readonly pid: number;
  readonly startTime: string;
  readonly address: string | null;
  readonly cgroups: CgroupFolders;
}

/** Runtimes whose programs are plain processes of this kernel; others have their own idea of pausing. */
const plainRuntimes: ReadonlySet<string | undefined> = new Set([undefined, '', 'runc', 'crun']);

/**
 * Null when its processes are not to be seen from here, are not the kernel's own, or were paused by the engine, who then has
 * to let them go as well.
 */
export async function runningHere(
  info: ContainerInspectInfo,
  address: string | null,
): Promise<RunningHere | null> {
  const { Pid: pid, Paused: paused } = info.State;
  if (paused || !plainRuntimes.has(info.HostConfig.Runtime)) return null;
  const startTime = await startTimeOf(pid);
  // In this order: the process with that start time is in the container's own cgroup, so it is no later one of its pid.
  const cgroups = await cgroupsOfContainer(pid, info.Id);
  return startTime && cgroups ? { pid, startTime, address, cgroups } : null;
}

export async function isAlive({ pid, startTime }: RunningHere): Promise<boolean> {
  return (await startTimeOf(pid)) === startTime;
}
