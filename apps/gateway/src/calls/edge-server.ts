import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { answerClientError } from './raw-problem.ts';
import type { CallEdge } from './call-edge.ts';

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

/** The HTTP server of the gateway: calls go straight to the edge, what is left to `control`. */
export function createEdgeServer(edge: CallEdge, control: Listener): Server {
  const server = createServer(
    {
      // Never lenient: what two parsers could read differently is refused (request smuggling).
      insecureHTTPParser: false,
      requireHostHeader: true,
      maxHeaderSize: 16 * 1024,
      headersTimeout: 20_000,
      requestTimeout: 300_000,
      keepAliveTimeout: 65_000,
      noDelay: true,
      // Only WebSocket is switched to; other offers to upgrade (h2c) are passed over, as the standard allows.
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    (request, response) => {
      if (!edge.serve(request, response)) control(request, response);
    },
  );
  server.on('upgrade', (request, socket, head) => edge.upgrade(request, socket, head));
  server.on('clientError', answerClientError);
  return server;
}
