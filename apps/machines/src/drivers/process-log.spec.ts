import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { maxLineBytes } from '../machine.driver.ts';
import { lineLengths, logFile, ProcessLog } from './process-log.ts';

const maxUnreadBytes = 16 * 1024 ** 2;
const logOf = (from: string): ProcessLog => new ProcessLog(from, maxUnreadBytes);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-log-'));
});
afterEach(() => rm(folder, { recursive: true }));

test('a reader that was killed gets the very same lines again, times included', async () => {
  await appendFile(logFile(folder, 'stdout'), 'one\ntwo\nthr');
  await appendFile(logFile(folder, 'stderr'), 'bad\n');
  const given = await logOf(folder).next(false);
  expect(given.map(({ stream, text }) => [stream, text])).toEqual([
    ['stdout', 'one'],
    ['stdout', 'two'],
    ['stderr', 'bad'],
  ]);
  const next = logOf(folder);
  expect(await next.replay()).toEqual(given);
  await appendFile(logFile(folder, 'stdout'), 'ee\nlast');
  expect((await next.next(false)).map(({ text }) => text)).toEqual(['three']);
  expect((await next.next(true)).map(({ text }) => text)).toEqual(['last']);
  expect(await next.next(true)).toEqual([]);
});

test('times only grow, also over a restart within one millisecond', async () => {
  await appendFile(logFile(folder, 'stdout'), 'x\n'.repeat(300));
  const times = (await logOf(folder).next(false)).map(({ timestamp }) => timestamp);
  const next = logOf(folder);
  await next.replay();
  await appendFile(logFile(folder, 'stdout'), 'y\n');
  times.push(...(await next.next(false)).map(({ timestamp }) => timestamp));
  expect(times).toEqual([...new Set(times)].sort());
});

test('what a reader kept is forgotten in time, and what follows is not', async () => {
  const log = logOf(folder);
  let given = 0;
  for (let round = 0; round < 8; round++) {
    await appendFile(logFile(folder, 'stdout'), `${'z'.repeat(99)}\n`.repeat(2000));
    for (let lines = await log.next(false); lines.length > 0; lines = await log.next(false)) {
      given += lines.length;
      await log.forget();
    }
  }
  expect(given).toBe(16_000);
  await appendFile(logFile(folder, 'stdout'), 'after\n');
  const next = logOf(folder);
  expect((await next.replay()).length).toBeLessThan(6000);
  expect((await next.next(false)).map(({ text }) => text)).toEqual(['after']);
});

test('a flood nobody reads leaves a note in the place of what was dropped', { timeout: 30_000 }, async () => {
  const log = logOf(folder);
  await appendFile(logFile(folder, 'stdout'), Buffer.alloc(17 * 1024 ** 2, `${'f'.repeat(63)}\n`));
  await log.enforceCap();
  const [note, first] = await log.next(false);
  expect(note?.text).toBe(`[cestx] ${16 * 1024 ** 2} bytes left out: written faster than they could be kept`);
  expect(first?.text).toBe('f'.repeat(63));
  expect((await logOf(folder).replay())[0]).toEqual(note);
});

test('a long line is cut between characters and nothing of it is lost', () => {
  const bytes = Buffer.from(`${'a'.repeat(maxLineBytes - 1)}${'ü'.repeat(10)}\nshort\n`);
  const lengths = lineLengths(bytes, false);
  expect(lengths).toEqual([maxLineBytes - 1, 21, 6]);
});
