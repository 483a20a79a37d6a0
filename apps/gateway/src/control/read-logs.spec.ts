import { describe, expect, it } from 'vitest';

import { CestxError, type LogLine } from '#contracts';

import { readLogs } from './read-logs.ts';

const line = (cursor: number): LogLine => ({
  name: 'a',
  revision: 'a-v1',
  machine: 'm1',
  stream: 'stdout',
  timestamp: '2026-01-01T00:00:00Z',
  text: `line ${cursor}`,
  cursor: String(cursor),
});
type Source = Parameters<typeof readLogs>[0];
interface Asked {
  tail?: number;
  after?: string;
  since?: string;
}

/** A logs room that keeps `count()` lines. */
function room(count: () => number, asked: Asked[] = []): Source {
  const ask = async (_query: unknown, request: Asked & { limit: number; waitMs: number }) => {
    asked.push(request);
    const total = count();
    const from = request.after
      ? Number(request.after)
      : request.tail === undefined
        ? 0
        : Math.max(0, total - request.tail);
    const items = Array.from({ length: Math.min(request.limit, total - from) }, (_, index) =>
      line(from + index + 1),
    );
    const place = items.at(-1)?.cursor ?? String(from);
    return { items, nextCursor: from + items.length < total || request.waitMs > 0 ? place : null };
  };
  return { ask } as unknown as Source;
}

const key = { project: 'default', function: 'a' };

describe('reading a log', () => {
  it('goes through every page once and ends', async () => {
    const cursors: string[] = [];
    for await (const page of readLogs(
      room(() => 1200),
      { ...key, follow: false },
      new AbortController().signal,
    )) {
      cursors.push(...page.map((one) => one.cursor));
    }
    expect(cursors).toEqual(Array.from({ length: 1200 }, (_, index) => String(index + 1)));
  });

  it('follows without loss or repetition when the room is away in between, and asks for the tail only once', async () => {
    let total = 100;
    let calls = 0;
    const asked: Asked[] = [];
    const kept = room(() => total, asked);
    const flaky = {
      ask: async (...given: Parameters<Source['ask']>) => {
        calls++;
        if (calls === 2) throw new CestxError('unavailable', 'away');
        total += 2;
        return kept.ask(...given);
      },
    } as Source;
    const gone = new AbortController();
    const cursors: number[] = [];
    for await (const page of readLogs(flaky, { ...key, follow: true, tail: 3, since: 'x' }, gone.signal)) {
      cursors.push(...page.map((one) => Number(one.cursor)));
      if (cursors.length >= 7) gone.abort();
    }
    expect(cursors).toEqual([100, 101, 102, 103, 104, 105, 106]);
    expect(asked.map(({ tail }) => tail)).toEqual([3, undefined, undefined]);
    expect(asked.every(({ since }) => since === 'x')).toBe(true);
  });

  it('does not hide that the room is away from a reader who does not follow', async () => {
    const away = {
      ask: async () => {
        throw new CestxError('unavailable', 'away');
      },
    } as unknown as Source;
    const pages = readLogs(away, { ...key, follow: true }, new AbortController().signal);
    await expect(pages.next()).rejects.toThrow('away');
  });
});
