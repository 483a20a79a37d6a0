import { CestxError, ListLogLines, type LogLine } from '#contracts';
import type { Messenger } from '#messaging';

export interface LogsAsked {
  project: string;
  function: string;
  follow: boolean;
  since?: string | undefined;
  tail?: number | undefined;
  machine?: string | undefined;
  after?: string | undefined;
}

const pageSize = 500;
/** Milliseconds one question waits for the next line; short enough to notice a restarted room soon. */
const waitMs = 10_000;

/**
 * Pages of kept lines, then, when followed, each line as it comes (an empty page when none came for a while).
 * The cursor is on this side, so a logs room that starts again goes on where it was, without loss or repetition.
 */
export async function* readLogs(
  messenger: Pick<Messenger, 'ask'>,
  asked: LogsAsked,
  signal: AbortSignal,
): AsyncGenerator<LogLine[], undefined> {
  const { follow, since, tail, after, ...filter } = asked;
  let cursor = after;
  let first = true;
  while (!signal.aborted) {
    const page = await ask(messenger, follow && !first, {
      ...filter,
      since,
      ...(cursor === undefined ? { tail } : { after: cursor }),
      limit: pageSize,
      // Who waits is told his place even when no line came; 1 ms asks for that without waiting.
      waitMs: follow ? (first ? 1 : waitMs) : 0,
    });
    if (!page) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      continue;
    }
    first = false;
    cursor = page.items.at(-1)?.cursor ?? page.nextCursor ?? cursor;
    if (page.items.length > 0 || follow) yield page.items;
    if (!follow && page.nextCursor === null) return;
  }
}

async function ask(
  messenger: Pick<Messenger, 'ask'>,
  patient: boolean,
  request: Parameters<typeof messenger.ask<typeof ListLogLines>>[1],
) {
  try {
    return await messenger.ask(ListLogLines, request, { timeoutMs: waitMs + 5000 });
  } catch (error) {
    if (patient && error instanceof CestxError && error.code === 'unavailable') return undefined;
    throw error;
  }
}
