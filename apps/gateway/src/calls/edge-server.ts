import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import type { CallEdge } from './call-edge.ts';
import { answerClientError } from './raw-problem.ts';

type Listener = (request: IncomingMessage, response: ServerResponse) => void;

export interface Patience {
  /** Milliseconds in which the headers of a request have to be there. */
  readonly headersMs: number;
  /** Milliseconds in which a whole request has to be there. */
  readonly requestMs: number;
}

/** The HTTP server of the gateway: calls go straight to the edge, what is left to `control`. */
export function createEdgeServer(edge: CallEdge, control: Listener, patience: Patience): Server {
  /** The last answer begun on each connection; those before it go out first. */
  const answers = new WeakMap<Duplex, ServerResponse>();
  const wrong = new WeakSet<Duplex>();
  const server = createServer(
    {
      // Never lenient: what two parsers could read differently is refused (request smuggling).
      insecureHTTPParser: false,
      requireHostHeader: true,
      maxHeaderSize: 16 * 1024,
      headersTimeout: Math.min(patience.headersMs, patience.requestMs),
      requestTimeout: patience.requestMs,
      connectionsCheckingInterval: Math.min(5_000, Math.ceil(patience.headersMs / 2)),
      keepAliveTimeout: 65_000,
      noDelay: true,
      // Only WebSocket is switched to; other offers to upgrade (h2c) are passed over, as the standard allows.
      shouldUpgradeCallback: (request) => request.headers.upgrade?.toLowerCase() === 'websocket',
    },
    (request, response) => {
      answers.set(request.socket, response);
      if (!edge.serve(request, response)) control(request, response);
    },
  );
  server.on('upgrade', (request, socket, head) => edge.upgrade(request, socket, head));
  server.on('clientError', (error, socket) => {
    // What comes behind the first mistake means nothing any more.
    if (wrong.has(socket)) return;
    wrong.add(socket);
    answerClientError(error, socket, answers.get(socket));
  });
  return server;
}
