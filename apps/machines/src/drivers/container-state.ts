import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';

import type { MachineExit, MachineUsage, SeenMachine } from '../machine.driver.ts';
import { containerPort, labels } from './container-options.ts';
import { answer } from './engine.ts';

/** What the engine says of a container, in the words of the port. `withEngine`: if it has ended, it did when the engine did. */
export function seenByEngine(info: ContainerInspectInfo, publish: boolean, withEngine: boolean): SeenMachine {
  const { Running, Paused, Status } = info.State;
  const state = Running ? (Paused ? 'frozen' : 'running') : Status === 'created' ? 'created' : 'exited';
  const id = info.Config.Labels[labels.machine] ?? '';
  return { id, state, address: Running ? addressOf(info, publish) : null, exit: exitOf(info, withEngine) };
}

function addressOf({ NetworkSettings }: ContainerInspectInfo, publish: boolean): string | null {
  if (publish) {
    const port = NetworkSettings.Ports[`${containerPort}/tcp`]?.[0]?.HostPort;
    return port ? `127.0.0.1:${port}` : null;
  }
  const ip = Object.values(NetworkSettings.Networks)[0]?.IPAddress;
  return ip ? `${ip}:${containerPort}` : null;
}

function exitOf(info: ContainerInspectInfo, withEngine: boolean): MachineExit | null {
  const { Running, Status, OOMKilled, ExitCode, Error: error } = info.State;
  if (Running || Status === 'created') return null;
  if (withEngine)
    return {
      code: ExitCode,
      reason: 'was ended with its container engine, which was restarted',
      portTaken: false,
      withPlatform: true,
    };
  const memory = Math.round((info.HostConfig.Memory ?? 0) / 1024 ** 2);
  const reason = OOMKilled
    ? `was killed for using more than its ${memory} MiB of memory`
    : error
      ? `could not be started: ${error}`
      : ExitCode > 128
        ? `was ended by signal ${ExitCode - 128}`
        : `exited with code ${ExitCode}`;
  return { code: ExitCode, reason, portTaken: false, withPlatform: false };
}

/** For engines whose cgroups are not to be seen from here. It takes the engine about a second. */
export async function usageByEngine(container: Docker.Container): Promise<MachineUsage> {
  const {
    cpu_stats: cpu,
    memory_stats: memory,
    pids_stats: pids,
  } = await answer(container.stats({ stream: false, 'one-shot': true }));
  const { inactive_file: v2, total_inactive_file: v1 } = memory.stats as Record<string, number | undefined>;
  return {
    cpuSeconds: cpu.cpu_usage.total_usage / 1e9,
    memoryBytes: Math.max(0, memory.usage - (v1 ?? v2 ?? 0)),
    memoryLimitBytes: memory.limit,
    processes: pids?.current ?? 0,
  };
}
