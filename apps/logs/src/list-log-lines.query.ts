import { Controller, type BeforeApplicationShutdown } from '@nestjs/common';

import { CestxError, ListLogLines, type LogLine, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { LineWaiters } from './line-waiters.ts';
import type { LogLineRow } from './log-line.entity.ts';
import { LogLineStore, type LineFilter } from './log-line.store.ts';

/** Another process of this room may have kept the line; nobody wakes us then. */
const lookAgainMs = 1000;

/**
 * Kept lines, oldest first. `nextCursor` is where to go on: null at the end, but never for a reader who waits (`waitMs`),
 * who gets his place even when no line came.
 */
@Controller()
export class ListLogLinesQuery implements BeforeApplicationShutdown {
  #isStopping = false;

  constructor(
    private readonly lines: LogLineStore,
    private readonly waiters: LineWaiters,
  ) {}

  beforeApplicationShutdown(): void {
    this.#isStopping = true;
    this.waiters.wakeAll();
  }

  @AnswerQuery(ListLogLines)
  async answer(request: RequestOf<typeof ListLogLines>): Promise<ResponseOf<typeof ListLogLines>> {
    const { limit, tail, waitMs } = request;
    const after = cursorOf(request.after);
    const filter: LineFilter = { ...request, after };
    // Told once: who goes on with `after` has the tail behind him.
    if (tail !== undefined && after === undefined) filter.after = await this.lines.idBeforeLast(filter, tail);

    // One more than asked for tells whether there is more.
    const found = await this.#listOrWait(filter, limit + 1, Date.now() + waitMs);
    const rows = found.slice(0, limit);
    const place = rows.at(-1)?.id ?? filter.after ?? '0';
    return { items: rows.map(toLine), nextCursor: found.length > limit || waitMs > 0 ? place : null };
  }

  async #listOrWait(filter: LineFilter, limit: number, deadline: number): Promise<LogLineRow[]> {
    for (;;) {
      const { woken, release } = this.waiters.register(filter.project, filter.function);
      try {
        const rows = await this.lines.list(filter, limit);
        const left = deadline - Date.now();
        if (rows.length > 0 || left <= 0 || this.#isStopping) return rows;
        await wokenOrLater(woken, Math.min(left, lookAgainMs));
      } finally {
        release();
      }
    }
  }
}

async function wokenOrLater(woken: Promise<void>, ms: number): Promise<void> {
  const { promise: later, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([woken, later]);
  clearTimeout(timer);
}

function cursorOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,18}$/.test(text))
    throw new CestxError('bad-request', '`after` is not a cursor of a log line.');
  return text;
}

function toLine(row: LogLineRow): LogLine {
  return {
    name: row.function,
    revision: row.revision,
    machine: row.machine,
    stream: row.stream,
    timestamp: row.timestamp.toISOString(),
    text: row.text,
    ...(row.callId === null ? {} : { callId: row.callId }),
    ...(row.traceId === null ? {} : { traceId: row.traceId }),
    cursor: row.id,
  };
}
