import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import { CestxError } from '#contracts';

import { problemHeaders, problemOf, type Problem } from '../problem.ts';

/** Answers on a bare socket, where there is no response object, and ends the connection. */
export function writeRawProblem(socket: Duplex, problem: Problem): void {
  if (socket.destroyed || !socket.writable) return void socket.destroy();
  const body = JSON.stringify(problem);
  const headers = {
    ...problemHeaders(problem),
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${problem.status} ${problem.title}\r\n${head.join('')}\r\n${body}`);
  // A peer that keeps sending and never closes must not keep the socket.
  setTimeout(() => socket.destroy(), 1_000).unref();
}

/**
 * What the HTTP parser would not take: 431 for oversized headers, 408 for a request that never ends, else 400. `last` is the
 * answer begun last on this connection. Answers to requests that came whole go out first; into one that is being written
 * nothing is ever mixed, the connection ends instead.
 */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  last: ServerResponse | undefined,
): void {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return void socket.destroy();
  const [status, text] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'The headers are too large.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'The request took too long to come in.']
        : [400, 'The request is not valid HTTP/1.1.'];
  const problem = problemOf(new CestxError('bad-request', text), { status });
  const answer = () => writeRawProblem(socket, problem);
  if (!last || last.closed) answer();
  else if (last.req.complete) last.once('close', answer);
  // Its own body is wrong. Without a socket, it waits behind another answer.
  else if (last.headersSent || !last.socket) socket.destroy();
  else answer();
}
