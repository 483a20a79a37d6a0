import type { ContainerCreateOptions } from 'dockerode';

import type { MachineSpec } from '../machine.driver.ts';

export const labels = {
  machine: 'cestx.machine',
  function: 'cestx.function',
  project: 'cestx.project',
  revision: 'cestx.revision',
  house: 'cestx.house',
} as const;

export const containerPort = 8080;
const portKey = `${containerPort}/tcp`;
/** `nobody` in every distribution we know, and nobody in an image that knows no users at all. */
const nobody = '65534:65534';

export function containerName(machineId: string): string {
  return `cestx-${machineId}`;
}

/** The image's own user unless that is root or none. */
export function userFor(imageUser: string | undefined): string {
  const name = (imageUser ?? '').split(':')[0] ?? '';
  return name === '' || name === 'root' || /^0+$/.test(name) ? nobody : (imageUser ?? nobody);
}

/** Every limit and every lock of a function's container, in one place. */
export function containerOptions(
  spec: MachineSpec,
  house: { id: string; network: string; publish: boolean; imageUser: string | undefined },
): ContainerCreateOptions {
  if (spec.artifact.kind !== 'image')
    throw new Error(`a container cannot be made from a ${spec.artifact.kind}`);
  return {
    name: containerName(spec.id),
    Image: spec.artifact.image,
    Hostname: spec.revision.slice(0, 63),
    User: userFor(house.imageUser),
    Env: Object.entries({ ...spec.environment, PORT: String(containerPort) }).map((entry) => entry.join('=')),
    Labels: {
      [labels.machine]: spec.id,
      [labels.function]: spec.function,
      [labels.project]: spec.project,
      [labels.revision]: spec.revision,
      [labels.house]: house.id,
    },
    ExposedPorts: { [portKey]: {} },
    HostConfig: {
      Init: true,
      NetworkMode: house.network,
      RestartPolicy: { Name: 'no' },
      PortBindings: house.publish ? { [portKey]: [{ HostIp: '127.0.0.1', HostPort: '' }] } : {},
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'rw,exec,nosuid,nodev,mode=1777,size=64m' },
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      Memory: spec.resources.memory,
      MemorySwap: spec.resources.memory,
      NanoCpus: Math.round(spec.resources.cpu * 1e9),
      PidsLimit: spec.resources.pids,
      Ulimits: [
        { Name: 'nofile', Soft: 8192, Hard: 8192 },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '8m', 'max-file': '2' } },
    },
  };
}
