import { paint } from '#client';

import { follow } from './deploy.command.ts';
import type { Session } from './session.ts';

/** Has a deployment that is not live yet undone, and tells each step. */
export async function cancel(session: Session, deploymentId: string): Promise<number> {
  await session.client.cancelDeployment(deploymentId);
  const ended = await follow(session, deploymentId, { cancelled: true });
  const cancelled = ended.state === 'failed' && ended.error?.code === 'cancelled';
  if (session.json) session.printJson(ended);
  else if (cancelled)
    session.print(`${paint('Cancelled', 'green', session.style)} the deployment of ${ended.function}`);
  else if (ended.state === 'live' || ended.state === 'removed')
    session.tell(`Deployment ${deploymentId} was left alone: it is ${ended.state}.`);
  return cancelled ? 0 : 1;
}
