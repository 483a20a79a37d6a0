import type { Context } from '@opentelemetry/api';
import { resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { ReadableSpan, Span, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace';

import type { Room } from '#contracts';
import { roomOf } from '#storage';

const attribute = 'cestx.room';
let fallback: Room = 'gateway';

/** The room of spans that no message started; in a process of one room it is that room. */
export function setRoomOfProcess(room: Room): void {
  fallback = room;
}

/** Writes on each span which room made it, so that rooms of one process stay apart in a trace. */
export class RoomSpanProcessor implements SpanProcessor {
  onStart(span: Span, parent: Context): void {
    span.setAttribute(attribute, roomOf(parent) ?? fallback);
  }
  onEnd(): void {
    return undefined;
  }
  async forceFlush(): Promise<void> {
    return undefined;
  }
  async shutdown(): Promise<void> {
    return undefined;
  }
}

export function roomOfSpan(span: ReadableSpan): string {
  return String(span.attributes[attribute] ?? fallback);
}

/** Shows each room as a service of its own to the collector, also when they share a process. */
export class RoomSpanExporter implements SpanExporter {
  readonly #inner: SpanExporter;
  readonly #resources = new Map<string, Resource>();

  constructor(inner: SpanExporter) {
    this.#inner = inner;
  }

  export(spans: ReadableSpan[], done: Parameters<SpanExporter['export']>[1]): void {
    this.#inner.export(
      spans.map(
        (span) => Object.create(span, { resource: { value: this.#resourceOf(span) } }) as ReadableSpan,
      ),
      done,
    );
  }

  async shutdown(): Promise<void> {
    await this.#inner.shutdown();
  }

  async forceFlush(): Promise<void> {
    await this.#inner.forceFlush?.();
  }

  #resourceOf(span: ReadableSpan): Resource {
    const room = roomOfSpan(span);
    const known = this.#resources.get(room);
    if (known) return known;
    const made = span.resource.merge(resourceFromAttributes({ 'service.name': `cestx-${room}` }));
    this.#resources.set(room, made);
    return made;
  }
}
