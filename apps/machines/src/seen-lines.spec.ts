import { expect, test } from 'vitest';

import type { MachineLine } from './machine.driver.ts';
import { RecentLines, SeenLines } from './seen-lines.ts';

const line = (ms: number, text = 'same'): MachineLine => ({
  stream: 'stdout',
  timestamp: `${new Date(ms).toISOString().slice(0, -1)}000001Z`,
  text,
});

test('a reader that goes on gets neither a line twice nor one too few', () => {
  const seen = new SeenLines([line(2), line(3), line(3)]);
  const all = [line(1, 'out of order'), line(2), line(3), line(3), line(3), line(3, 'other'), line(4)];
  expect(all.filter((candidate) => seen.admit(candidate))).toEqual([
    line(1, 'out of order'),
    line(3),
    line(3, 'other'),
    line(4),
  ]);
});

test('what is older than the overlap counts as seen', () => {
  const seen = new SeenLines([line(10_000)]);
  expect(seen.admit(line(7_999))).toBe(false);
  expect(seen.admit(line(8_000))).toBe(true);
});

test('a chatty machine does not fill the memory of its reader, and the overlap stays whole', () => {
  const recent = new RecentLines();
  for (let ms = 0; ms < 20_000; ms += 10) recent.push(line(ms));
  expect(recent.lines.length).toBeLessThan(1001);
  expect(recent.lines.filter(({ timestamp }) => timestamp >= line(17_990).timestamp)).toHaveLength(201);
});
