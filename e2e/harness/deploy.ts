import type { Deployment, ScaleChange } from '#client';

import type { House } from './house.ts';
import { helloSource, nodeApp } from './sample-apps.ts';

/** Hands a source in and waits for the deployment's end, whatever it is. Outlives parts of the platform going away. */
export async function deployAndWait(house: House, source: Buffer, timeoutMs?: number): Promise<Deployment> {
  const { deploymentId } = await house.client.deployFunction({ source });
  return waitForEnd(house, deploymentId, timeoutMs);
}

export async function deployHello(house: House, name: string, version = 'one'): Promise<Deployment> {
  return deployAndWait(house, await nodeApp(name, helloSource(version)));
}

export async function removeAndWait(house: House, name: string, timeoutMs?: number): Promise<Deployment> {
  const { deploymentId } = await house.client.removeFunction(name);
  return waitForEnd(house, deploymentId, timeoutMs);
}

/** Changes how a live function scales and rests, and waits until that holds. */
export async function changeScale(house: House, name: string, change: ScaleChange): Promise<void> {
  const { deploymentId } = await house.client.changeScale(name, change);
  const { state, error } = await waitForEnd(house, deploymentId);
  if (state !== 'live') throw new Error(`the scale of ${name} was not changed: ${error?.message}`);
}

const ends = new Set<Deployment['state']>(['live', 'removed', 'failed']);

/** Asks again and again rather than following a stream: the gateway may be one of the things that die. */
export async function waitForEnd(
  house: House,
  deploymentId: string,
  timeoutMs = 90_000,
): Promise<Deployment> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      const deployment = await house.client.getDeployment(deploymentId);
      if (ends.has(deployment.state)) return deployment;
      last = deployment;
    } catch (error) {
      last = error;
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`deployment ${deploymentId} did not end within ${timeoutMs} ms: ${describe(last)}`);
}

function describe(last: unknown): string {
  return last instanceof Error ? String(last) : JSON.stringify(last);
}

export function stepsOf(deployment: Deployment): Record<string, string> {
  return Object.fromEntries(deployment.steps.map((step) => [step.name, step.state]));
}
