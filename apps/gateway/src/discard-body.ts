import type { IncomingMessage } from 'node:http';

/** Long enough for a client that is still sending to stop and read the answer it was given. */
const patience = 2_000;

/**
 * Throws away what is left of a body that nobody will read. Closing at once would reset the connection, and many clients
 * would then never see why; a client that goes on sending regardless is cut off.
 */
export function discardBody(request: IncomingMessage): void {
  if (request.complete) return;
  request.unpipe();
  request.resume();
  const timer = setTimeout(() => request.destroy(), patience);
  request.once('close', () => clearTimeout(timer));
}
