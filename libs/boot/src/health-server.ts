import { createServer, type Server } from 'node:http';

import type { Health } from '#contracts';

/** `/healthz` says that the process runs, `/readyz` whether it can work; for a room that runs alone. */
export async function serveHealth(port: number, check: () => Promise<Health>): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/healthz') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else if (request.url === '/readyz') {
      void check().then((health) => {
        response
          .writeHead(health.ready ? 200 : 503, { 'content-type': 'application/json' })
          .end(JSON.stringify(health));
      });
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });
  return server;
}
