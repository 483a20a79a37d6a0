import { randomFillSync } from 'node:crypto';

import {
  context,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Span,
} from '@opentelemetry/api';

/** The trace of one call: what the caller gets back, and what each machine asked receives. */
export interface CallTrace {
  readonly traceparent: string;
  /** The call begins to wait for a machine; `reason` is for people. */
  waiting(reason: string): void;
  /** It waits no longer; `wokenFrom` is the state its machine was woken from, null when that is not known. */
  waited(wokenFrom: string | null): void;
  /** Runs `work` as a part of the call, or of its waiting. */
  during<T>(work: () => T): T;
  /** A hop to a machine begins; the `traceparent` the function receives. */
  sending(machine: string): string;
  ended(status: number, machine: string | null, error: string | null): void;
}

export interface CallDescription {
  readonly method: string;
  readonly function: string;
  readonly project: string;
  readonly callId: string;
  readonly path: string;
  /** For what is no request of somebody else: how its own span is called. */
  readonly span?: { readonly name: string; readonly kind: SpanKind; readonly attributes: Attributes };
}

const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
const zeros = /^0+$/;

interface ParentContext {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

/** A valid W3C `traceparent`, else undefined: what is malformed starts a new trace, as the standard asks. */
export function readTraceparent(header: string | undefined): ParentContext | undefined {
  if (header === undefined) return undefined;
  const [, traceId, spanId, flags] = pattern.exec(header) ?? [];
  if (!traceId || !spanId || !flags || zeros.test(traceId) || zeros.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & TraceFlags.SAMPLED) !== 0 };
}

/** Lets `perSecond` traces begin each second, so that a busy function cannot fill the trace store. */
export class TraceBudget {
  private readonly perSecond: number;
  private left: number;
  private second = 0;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.left = perSecond;
  }

  take(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.second) {
      this.second = second;
      this.left = this.perSecond;
    }
    if (this.left <= 0) return false;
    this.left--;
    return true;
  }
}

/** Records the call when its caller samples it, or when it begins a trace and the budget allows; else only passes ids on. */
export function traceCall(header: string | undefined, call: CallDescription, budget: TraceBudget): CallTrace {
  const parent = readTraceparent(header);
  if (parent ? parent.sampled : budget.take(Date.now())) {
    const recorded = new RecordedTrace(parent, call);
    if (recorded.recording) return recorded;
  }
  return new PassedOnTrace(parent);
}

class PassedOnTrace implements CallTrace {
  readonly traceparent: string;

  constructor(parent: ParentContext | undefined) {
    this.traceparent = `00-${parent?.traceId ?? randomHex(16)}-${randomHex(8)}-00`;
  }

  waiting(): void {}

  waited(): void {}

  during<T>(work: () => T): T {
    return context.with(trace.deleteSpan(context.active()), work);
  }

  sending(): string {
    return this.traceparent;
  }

  ended(): void {}
}

class RecordedTrace implements CallTrace {
  readonly traceparent: string;
  /** Whoever lets the call go on later (a machine that became ready) is not who it belongs to. */
  private readonly from = context.active();
  private readonly server: Span;
  private readonly call: CallDescription;
  private client: Span | undefined;
  private wait: Span | undefined;

  constructor(parent: ParentContext | undefined, call: CallDescription) {
    this.call = call;
    const from = parent
      ? trace.setSpanContext(this.from, {
          traceId: parent.traceId,
          spanId: parent.spanId,
          traceFlags: TraceFlags.SAMPLED,
          isRemote: true,
        })
      : trace.deleteSpan(this.from);
    this.server = trace.getTracer('cestx.invocation').startSpan(
      call.span?.name ?? `${call.method} /function/${call.function}`,
      {
        kind: call.span?.kind ?? SpanKind.SERVER,
        attributes: {
          ...(call.span?.attributes ?? {
            'http.request.method': call.method,
            'http.route': '/function/{name}',
            'url.path': call.path,
          }),
          'faas.invoked_name': call.function,
          'cestx.project': call.project,
          'cestx.call_id': call.callId,
        },
      },
      from,
    );
    this.traceparent = traceparentOf(this.server);
  }

  get recording(): boolean {
    return this.server.isRecording();
  }

  waiting(reason: string): void {
    this.wait ??= trace
      .getTracer('cestx.invocation')
      .startSpan(
        'wait for machine',
        { attributes: { 'faas.invoked_name': this.call.function, 'cestx.wait_reason': reason } },
        trace.setSpan(this.from, this.server),
      );
  }

  waited(wokenFrom: string | null): void {
    if (wokenFrom) {
      this.wait?.setAttribute('cestx.woken_from', wokenFrom);
      this.server.setAttribute('faas.coldstart', wokenFrom !== 'running');
    }
    this.wait?.end();
    this.wait = undefined;
  }

  during<T>(work: () => T): T {
    return context.with(trace.setSpan(this.from, this.wait ?? this.server), work);
  }

  sending(machine: string): string {
    this.client?.setStatus({ code: SpanStatusCode.ERROR }).end();
    this.client = trace.getTracer('cestx.invocation').startSpan(
      `${this.call.method} ${this.call.function}`,
      {
        kind: SpanKind.CLIENT,
        attributes: {
          'http.request.method': this.call.method,
          'faas.invoked_name': this.call.function,
          'cestx.call_id': this.call.callId,
          'cestx.machine': machine,
        },
      },
      trace.setSpan(this.from, this.server),
    );
    return traceparentOf(this.client);
  }

  ended(status: number, machine: string | null, error: string | null): void {
    for (const span of [this.client, this.server]) {
      if (!span) continue;
      span.setAttribute('http.response.status_code', status);
      if (machine) span.setAttribute('cestx.machine', machine);
      if (error) span.setAttribute('error.type', error);
      if (error || status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    }
  }
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

/** Random bytes are drawn in bulk: one call to the generator per 256 traces instead of one each. */
const pool = Buffer.alloc(6144);
let used = pool.length;
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.toString('hex', used, (used += bytes));
}
