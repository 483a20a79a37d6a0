import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';

import { traceSubject, type Span } from '#contracts';
import type { Feeds } from '#messaging';

import { roomOfSpan } from './room-span.processor.ts';

const kinds = {
  [SpanKind.INTERNAL]: 'INTERNAL',
  [SpanKind.SERVER]: 'SERVER',
  [SpanKind.CLIENT]: 'CLIENT',
  [SpanKind.PRODUCER]: 'PRODUCER',
  [SpanKind.CONSUMER]: 'CONSUMER',
} as const;
const statuses = {
  [SpanStatusCode.UNSET]: 'UNSET',
  [SpanStatusCode.OK]: 'OK',
  [SpanStatusCode.ERROR]: 'ERROR',
} as const;
/** Spans held while the broker is not reached yet. */
const held = 5000;
/** Spans a message may carry, so that it stays far below the broker's largest message. */
const perMessage = 200;

/** Sends finished spans to the kept traces, one message a trace and batch. Spans are worth keeping, not worth failing for. */
export class FeedSpanExporter implements SpanExporter {
  /** Of every room in this process; a room that stops takes its connection with it, the others still send. */
  readonly #ways = new Set<Feeds>();
  #waiting: ReadableSpan[] = [];

  /** Gives the exporter its way to the broker; before, spans wait. */
  connect(feeds: Feeds): void {
    this.#ways.add(feeds);
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.export(waiting, () => undefined);
  }

  disconnect(feeds: Feeds): void {
    this.#ways.delete(feeds);
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    const [feeds] = this.#ways;
    if (!feeds) {
      this.#waiting = [...this.#waiting, ...spans].slice(-held);
      return done({ code: 0 });
    }
    const byTrace = Map.groupBy(spans, (span) => span.spanContext().traceId);
    const sends = [...byTrace].flatMap(([traceId, group]) =>
      chunks(group.map(toSpan)).map((chunk) => feeds.publish(traceSubject(traceId), chunk)),
    );
    Promise.all(sends).then(
      () => done({ code: 0 }),
      (error: unknown) => done({ code: 1, error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  async forceFlush(): Promise<void> {
    return undefined;
  }

  async shutdown(): Promise<void> {
    this.#ways.clear();
  }
}

function chunks(spans: Span[]): Span[][] {
  const result: Span[][] = [];
  for (let start = 0; start < spans.length; start += perMessage)
    result.push(spans.slice(start, start + perMessage));
  return result;
}

function toSpan(span: ReadableSpan): Span {
  const [seconds, nanoseconds] = span.startTime;
  const attributes: Span['attributes'] = {};
  for (const [key, value] of Object.entries(span.attributes)) {
    if (value !== undefined && value !== null)
      attributes[key] = Array.isArray(value) ? [...value] : (value as string | number | boolean);
  }
  return {
    traceId: span.spanContext().traceId,
    spanId: span.spanContext().spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? null,
    service: roomOfSpan(span),
    name: span.name,
    kind: kinds[span.kind],
    startTime: new Date(seconds * 1000 + nanoseconds / 1e6).toISOString(),
    durationMs: span.duration[0] * 1000 + span.duration[1] / 1e6,
    status: statuses[span.status.code],
    attributes,
  };
}
