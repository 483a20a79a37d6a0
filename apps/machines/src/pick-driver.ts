import { join } from 'node:path';

import { CestxError, registryFrom } from '#contracts';
import type { ChosenDriver } from './chosen-driver.ts';
import { DockerDriver } from './drivers/docker.driver.ts';
import { connectToEngine, whyNoEngine } from './drivers/engine.ts';
import { ProcessDriver } from './drivers/process.driver.ts';
import type { MachinesConfig } from './machines.config.ts';
import { traceDriver } from './trace-driver.ts';

/** Made here (`npm run images`); somebody else's of that name in a registry is none of ours. */
const ownBaseImage = 'cestx/node:24';
const publicBaseImage = 'node:24-slim';

/** Takes the driver that was asked for; `auto` takes containers when they can be had, else processes. Opens it. */
export async function pickDriver(config: MachinesConfig, house: string): Promise<ChosenDriver> {
  const docker = connectToEngine(config.DOCKER_HOST);
  const processes = (): ProcessDriver =>
    new ProcessDriver({ folder: join(config.CESTX_DATA, 'machines'), path: config.PATH, house });
  const containers = (): DockerDriver =>
    new DockerDriver({ host: config.DOCKER_HOST, house, registry: registryFrom(config) });

  if (config.CESTX_DRIVER === 'process') return opened({ driver: processes(), reason: 'It was asked for.' });
  const images = config.CESTX_IMAGE_NODE
    ? { local: [], pullable: [config.CESTX_IMAGE_NODE] }
    : { local: [ownBaseImage], pullable: [publicBaseImage] };
  const missing = await whyNoEngine(docker, images);
  if (config.CESTX_DRIVER === 'docker') {
    if (missing?.engine === false)
      throw new CestxError('no-driver', `${missing.reason} Start it, or use --driver process.`);
    return opened({ driver: containers(), reason: 'It was asked for.' });
  }
  if (!missing)
    return opened({ driver: containers(), reason: 'A container engine answers and has the base image.' });
  return opened({ driver: processes(), reason: missing.reason });
}

async function opened({ driver, reason }: ChosenDriver): Promise<ChosenDriver> {
  await driver.open();
  return { driver: traceDriver(driver), reason };
}
