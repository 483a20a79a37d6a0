import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

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

/** Milliseconds an engine that is known to be here gets to come up: after a crash both may be started at once. */
const enginePatience = 60_000;

/**
 * Takes the driver that was asked for; `auto` takes containers when they can be had, else processes. Opens it.
 * Where functions are in containers already, an engine that does not answer is waited for: what was built as an image would not
 * run as a process.
 */
export async function pickDriver(
  config: MachinesConfig,
  house: string,
  { inContainers, patience = enginePatience }: { inContainers: boolean; patience?: number },
): Promise<ChosenDriver> {
  const docker = connectToEngine(config.DOCKER_HOST);
  const processes = (): ProcessDriver =>
    new ProcessDriver({ folder: join(config.CESTX_DATA, 'machines'), path: config.PATH, house });
  const containers = (): DockerDriver =>
    new DockerDriver({ host: config.DOCKER_HOST, house, registry: registryFrom(config) });

  if (config.CESTX_DRIVER === 'process') return opened({ driver: processes(), reason: 'It was asked for.' });
  const images = config.CESTX_IMAGE_NODE
    ? { local: [], pullable: [config.CESTX_IMAGE_NODE] }
    : { local: [ownBaseImage], pullable: [publicBaseImage] };
  let missing = await whyNoEngine(docker, images);
  for (const end = Date.now() + patience; inContainers && missing?.engine === false && Date.now() < end;) {
    await delay(500);
    missing = await whyNoEngine(docker, images);
  }
  if (inContainers && missing?.engine === false)
    throw new CestxError(
      'no-driver',
      'The functions here are in containers, and no container engine answers. Start it, or use --driver process and deploy them again.',
    );
  if (config.CESTX_DRIVER === 'docker') {
    if (missing?.engine === false)
      throw new CestxError('no-driver', `${missing.reason} Start it, or use --driver process.`);
    return opened({ driver: containers(), reason: 'It was asked for.' });
  }
  if (inContainers) return opened({ driver: containers(), reason: 'The functions here are in containers.' });
  if (!missing)
    return opened({ driver: containers(), reason: 'A container engine answers and has the base image.' });
  return opened({ driver: processes(), reason: missing.reason });
}

async function opened({ driver, reason }: ChosenDriver): Promise<ChosenDriver> {
  await driver.open();
  return { driver: traceDriver(driver), reason };
}
