import type { IncomingMessage } from 'node:http';

import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span,
} from '@opentelemetry/api';

import { readTraceparent } from '#invocation';

const spans = new WeakMap<IncomingMessage, Span>();

/**
 * Begins the span of a control call and the trace of everything it sets off. A read begins no trace of its own,
 * or the polling of screens would push out the traces that matter.
 */
export function beginRequestTrace(
  request: IncomingMessage,
  route: string,
): { context: Context; span: Span } | undefined {
  const header = request.headers.traceparent;
  const parent = readTraceparent(Array.isArray(header) ? header[0] : header);
  const method = request.method ?? 'GET';
  if (parent ? !parent.sampled : method === 'GET') return undefined;
  const from = parent
    ? trace.setSpanContext(context.active(), {
        traceId: parent.traceId,
        spanId: parent.spanId,
        traceFlags: TraceFlags.SAMPLED,
        isRemote: true,
      })
    : context.active();
  const span = trace
    .getTracer('cestx.gateway')
    .startSpan(
      `${method} ${route}`,
      { kind: SpanKind.SERVER, attributes: { 'http.request.method': method, 'http.route': route } },
      from,
    );
  spans.set(request, span);
  return { context: trace.setSpan(from, span), span };
}

export function endRequestTrace(span: Span, status: number): void {
  span.setAttribute('http.response.status_code', status);
  if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** The trace id of a control call; undefined when it is not traced. */
export function traceIdOf(request: IncomingMessage): string | undefined {
  const span = spans.get(request);
  return span && trace.isSpanContextValid(span.spanContext()) ? span.spanContext().traceId : undefined;
}

export function traceparentOf(span: Span): string | undefined {
  const ids = span.spanContext();
  if (!trace.isSpanContextValid(ids)) return undefined;
  return `00-${ids.traceId}-${ids.spanId}-${ids.traceFlags.toString(16).padStart(2, '0')}`;
}
