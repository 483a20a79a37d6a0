import { paint } from '#client';

import { follow } from './deploy.command.ts';
import type { Session } from './session.ts';

/** Takes a function and everything it has away, and tells each step. */
export async function remove(session: Session, name: string): Promise<number> {
  const { deploymentId } = await session.client.removeFunction(name);
  const ended = await follow(session, deploymentId);
  if (session.json) session.printJson(ended);
  else if (ended.state === 'removed') session.print(`${paint('Removed', 'green', session.style)} ${name}`);
  return ended.state === 'removed' ? 0 : 1;
}
