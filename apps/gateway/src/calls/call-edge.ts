import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import { CestxError, labelSchema, type ErrorCode } from '#contracts';
import {
  readTraceparent,
  traceCall,
  type Call,
  type Invoker,
  type Target,
  type TraceBudget,
} from '#invocation';

import { discardBody } from '../discard-body.ts';
import { problemHeaders, problemOf, type Problem } from '../problem.ts';
import type { CallMetrics } from './call-metrics.ts';
import { readCallTarget, type CallTarget } from './call-target.ts';
import { writeRawProblem } from './raw-problem.ts';

export interface CallEdgeParts {
  readonly invoker: Invoker;
  readonly metrics: CallMetrics;
  readonly budget: TraceBudget;
  readonly domain: string;
  readonly maxTunnels: number;
}

const callIdPattern = /^[A-Za-z0-9_.:-]{1,128}$/;

/** The way of a call through the gateway. No framework, no broker and no database on it. */
export class CallEdge {
  private readonly parts: CallEdgeParts;
  private readonly tunnels = new Set<Duplex>();

  constructor(parts: CallEdgeParts) {
    this.parts = parts;
  }

  /** Serves the request when it is a call; false leaves it to the control plane. */
  serve(request: IncomingMessage, response: ServerResponse): boolean {
    const startedAt = performance.now();
    const asked = readCallTarget(request.url ?? '/', request.headers.host, this.parts.domain);
    if (asked.kind === 'control') return false;
    const found = this.find(request, asked);
    if (found instanceof CestxError) {
      refuse(response, found, callIdOf(request), undefined);
      discardBody(request);
      return true;
    }
    const call = this.callTo(found.target, found.asked, request, startedAt, (error) =>
      refuse(response, error, call.callId, call.trace.traceparent),
    );
    this.parts.invoker.forward(call, request, response);
    return true;
  }

  /** An upgrade of a call is tunnelled; of anything else it is refused. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const asked = readCallTarget(request.url ?? '/', request.headers.host, this.parts.domain);
    const found = this.find(request, asked);
    if (found instanceof CestxError) return writeRawProblem(socket, problemOf(found));
    if (request.headers['content-length'] ?? request.headers['transfer-encoding']) {
      return writeRawProblem(socket, problemOf(new CestxError('bad-request', 'An upgrade has no body.')));
    }
    if (this.tunnels.size >= this.parts.maxTunnels) {
      return writeRawProblem(
        socket,
        problemOf(new CestxError('busy', 'Too many upgraded connections are open.')),
      );
    }
    this.tunnels.add(socket);
    socket.once('close', () => this.tunnels.delete(socket));
    const call = this.callTo(found.target, found.asked, request, performance.now(), (error) =>
      writeRawProblem(socket, callProblemOf(error, call.trace.traceparent.slice(3, 35))),
    );
    this.parts.invoker.tunnel(call, request, socket, head);
  }

  closeTunnels(): void {
    for (const socket of this.tunnels) socket.destroy();
  }

  private find(
    request: IncomingMessage,
    asked: CallTarget,
  ): { target: Target; asked: Extract<CallTarget, { host: string }> } | CestxError {
    if (asked.kind === 'control')
      return new CestxError('not-found', 'No function is called by this address.');
    if (asked.kind === 'wrong') return new CestxError('bad-request', asked.reason);
    if (countHosts(request.rawHeaders) > 1)
      return new CestxError('bad-request', 'There is more than one Host header.');
    if (request.httpVersionMinor === 0 && request.headers['transfer-encoding'] !== undefined)
      return new CestxError('bad-request', 'HTTP/1.0 knows no Transfer-Encoding.');
    if (asked.kind === 'host') {
      const target = this.parts.invoker.table.byHost(asked.name);
      return target
        ? { target, asked }
        : new CestxError('not-found', `No function answers at ${asked.name}.`);
    }
    const project = String(request.headers['x-cestx-project'] ?? 'default');
    if (project !== 'default' && !labelSchema.safeParse(project).success) {
      return new CestxError('bad-request', 'X-Cestx-Project must be the name of a project.');
    }
    const target = this.parts.invoker.table.byName(project, asked.name);
    return target ? { target, asked } : new CestxError('not-found', `There is no function ${asked.name}.`);
  }

  private callTo(
    target: Target,
    asked: { host: string; path: string },
    request: IncomingMessage,
    startedAt: number,
    refused: (error: CestxError) => void,
  ): Call {
    const name = target.route?.function ?? '';
    const callId = callIdOf(request);
    const trace = traceCall(
      singleHeader(request.headers.traceparent),
      {
        method: request.method ?? 'GET',
        function: name,
        project: target.route?.project ?? '',
        callId,
        path: withoutQuery(asked.path),
      },
      this.parts.budget,
    );
    return {
      target,
      path: asked.path,
      host: asked.host,
      callId,
      trace,
      startedAt,
      refused,
      ended: (status) => {
        this.parts.metrics.record(name, status, (performance.now() - startedAt) / 1000);
        // An answer may come before the body was sent; the rest is in the way of the next request.
        discardBody(request);
      },
    };
  }
}

function refuse(
  response: ServerResponse,
  error: CestxError,
  callId: string,
  traceparent: string | undefined,
): void {
  const trace = readTraceparent(traceparent);
  const problem = callProblemOf(error, trace?.traceId);
  const body = JSON.stringify(problem);
  // With the reason: Node would keep one that a function gave and that it refused to write.
  response.writeHead(problem.status, problem.title, {
    ...problemHeaders(problem),
    'content-length': Buffer.byteLength(body),
    'x-call-id': callId,
    ...(traceparent ? { traceparent } : {}),
  });
  response.end(body);
}

/** Why a function has no machine is no fault of who calls it, and the lines of its log are none of his business. */
const ownersFault: ReadonlySet<ErrorCode> = new Set(['start-failed', 'over-quota', 'no-driver']);
function callProblemOf({ code, message }: CestxError, traceId: string | undefined): Problem {
  return problemOf(
    { code, message, lastLines: undefined },
    { traceId, ...(ownersFault.has(code) ? { status: 503 } : {}) },
  );
}

/** The caller's id when it can go into a log line as it is, else one of ours. */
function callIdOf(request: IncomingMessage): string {
  const given = singleHeader(request.headers['x-call-id']);
  return given !== undefined && callIdPattern.test(given) ? given : randomUUID();
}

/** A query may hold secrets; they are no business of a trace. */
function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

function singleHeader(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function countHosts(raw: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}
