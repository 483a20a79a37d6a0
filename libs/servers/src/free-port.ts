import { createServer } from 'node:net';

import { ServerError } from './server-error.ts';

const triesForAFreePort = 5;

/** A port nobody listens on now. Somebody may take it before it is used, so callers try again. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen({ host: '127.0.0.1', port: 0 }, resolve),
  );
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new ServerError('no free port could be found');
  return address.port;
}

export class PortTakenError extends ServerError {
  constructor(port: number, wantedBy: string) {
    super(`port ${port}, which ${wantedBy} needs, is taken by another program`);
  }
}

/** Runs `start` with the wished port, or, when that is 0, with free ones until one was still free when it was used. */
export async function withPort<T>(wished: number, start: (port: number) => Promise<T>): Promise<T> {
  if (wished !== 0) return start(wished);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (!(error instanceof PortTakenError) || attempt >= triesForAFreePort) throw error;
    }
  }
}
