import { createServer } from 'node:net';

import { CestxError } from '#contracts';

/** Below the ports the kernel gives to clients, so that no connection of somebody else takes one from us. */
const firstPort = 20_000;
const lastPort = 29_999;

/** A port nobody listens on now, and none of `taken`. It may be gone by the time it is used; then the start is tried anew. */
export async function pickPort(taken: ReadonlySet<number | null>): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = firstPort + Math.floor(Math.random() * (lastPort - firstPort + 1));
    if (!taken.has(port) && (await canListen(port))) return port;
  }
  throw new CestxError('unavailable', `No port from ${firstPort} to ${lastPort} is free for a function.`, {
    retryable: true,
  });
}

function canListen(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer();
    server.once('error', () => answer(false));
    server.listen(port, () => server.close(() => answer(true)));
  });
}
