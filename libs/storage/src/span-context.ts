import {
  context,
  createContextKey,
  propagation,
  SpanStatusCode,
  trace,
  type Context,
  type SpanOptions,
} from '@opentelemetry/api';

import type { Room } from '#contracts';

const roomKey = createContextKey('cestx.room');

/** Marks everything done in `parent` as done by a room, so that rooms of one process stay apart in a trace. */
export function withRoom(parent: Context, room: Room): Context {
  return parent.setValue(roomKey, room);
}

export function roomOf(of: Context): Room | undefined {
  return of.getValue(roomKey) as Room | undefined;
}

/** W3C trace headers of the active span, to travel with a message or to be stored with a row. */
export function traceHeaders(): Record<string, string> {
  const headers: Record<string, string> = {};
  propagation.inject(context.active(), headers);
  return headers;
}

/** The context that such headers stand for. */
export function contextOf(headers: Readonly<Record<string, string>>, parent = context.active()): Context {
  return propagation.extract(parent, headers);
}

/** Runs `work` in a span of its own below the active one; an error is noted on it and thrown on. */
export async function inSpan<T>(name: string, options: SpanOptions, work: () => Promise<T>): Promise<T> {
  return trace.getTracer('cestx').startActiveSpan(name, options, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({
        code: SpanStatusCode.ERROR,
        message: error instanceof Error ? error.message : String(error),
      });
      throw error;
    } finally {
      span.end();
    }
  });
}
