import type { ContainerCreateOptions } from 'dockerode';

import type { MachineSpec } from '../machine.driver.ts';
import { closedNetwork, type OpenNetwork } from './container-networks.ts';

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
  house: { id: string; network: OpenNetwork; imageUser: string | undefined },
): ContainerCreateOptions {
  if (spec.artifact.kind !== 'image')
    throw new Error(`a container cannot be made from a ${spec.artifact.kind}`);
  const { resources } = spec;
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
      NetworkMode: resources.network ? house.network.name : closedNetwork,
      // The engine would still ask the world's name servers for a machine that may not.
      ...(resources.network ? {} : { Dns: ['127.0.0.1'] }),
      ...(spec.runtime ? { Runtime: spec.runtime } : {}),
      RestartPolicy: { Name: 'no' },
      PortBindings: house.network.publish ? { [portKey]: [{ HostIp: '127.0.0.1', HostPort: '' }] } : {},
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': `rw,exec,nosuid,nodev,mode=1777,size=${resources.tmp}` },
      Privileged: false,
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      IpcMode: 'private',
      Memory: resources.memory,
      MemorySwap: resources.memory,
      NanoCpus: Math.round(resources.cpu * 1e9),
      PidsLimit: resources.pids,
      Ulimits: [
        { Name: 'nofile', Soft: resources.files, Hard: resources.files },
        { Name: 'core', Soft: 0, Hard: 0 },
      ],
      // Two files take turns, so half of the lines at most are lost at a change.
      LogConfig: {
        Type: 'json-file',
        Config: { 'max-size': String(Math.ceil(resources.logs / 2)), 'max-file': '2' },
      },
    },
  };
}
