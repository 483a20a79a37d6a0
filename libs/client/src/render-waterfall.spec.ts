import { expect, test } from 'vitest';

import type { Span } from '#contracts';

import type { Style } from './render-style.ts';
import { renderWaterfall } from './render-waterfall.ts';

const plain: Style = { colour: false, unicode: false, width: 80 };

function span(spanId: string, parentSpanId: string | null, startMs: number, durationMs: number): Span {
  return {
    traceId: 't1',
    spanId,
    parentSpanId,
    service: spanId.startsWith('g') ? 'gateway' : 'machines',
    name: `work ${spanId}`,
    kind: 'INTERNAL',
    startTime: new Date(1_700_000_000_000 + startMs).toISOString(),
    durationMs,
    status: 'UNSET',
    attributes: {},
  };
}

test('a hop stands under its parent, indented, and its bar begins when it began', () => {
  const text = renderWaterfall([span('m1', 'g1', 50, 50), span('g1', null, 0, 100)], plain);
  const [summary, first, second] = text.split('\n');
  expect(summary).toBe('trace t1: 2 hops, 100 ms');
  expect(first).toMatch(/^gateway {3}work g1 {4}={24} {5}100 ms$/);
  expect(second).toMatch(/^machines {4}work m1 {2} {12}={12} {6}50 ms$/);
});

test('no line is wider than the terminal, however deep and long the names are', () => {
  const spans = Array.from({ length: 40 }, (_, depth) => ({
    ...span(`m${depth}`, depth === 0 ? null : `m${depth - 1}`, depth, 100 - depth),
    name: `a name that is much longer than any terminal would like it to be ${depth}`,
  }));
  for (const width of [40, 60, 80, 120, 200]) {
    const lines = renderWaterfall(spans, { ...plain, width }).split('\n');
    expect(lines).toHaveLength(41);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  }
});

test('siblings are ordered by their start, down to microseconds', () => {
  const late = { ...span('m1', null, 0, 1), startTime: '2026-01-01T00:00:00.000900Z', name: 'late' };
  const early = { ...span('m2', null, 0, 1), startTime: '2026-01-01T00:00:00.000100Z', name: 'early' };
  const lines = renderWaterfall([late, early], plain).split('\n');
  expect(lines[1]).toContain('early');
  expect(lines[2]).toContain('late');
});

test('a span whose parent is missing, or that is its own ancestor, is still shown once', () => {
  const text = renderWaterfall(
    [span('m1', 'gone', 0, 1), span('m2', 'm3', 1, 1), span('m3', 'm2', 2, 1)],
    plain,
  );
  for (const id of ['m1', 'm2', 'm3']) expect(text.split(`work ${id}`)).toHaveLength(2);
});

test('a span of no length has a bar of one character', () => {
  const text = renderWaterfall([span('g1', null, 0, 10), span('m1', 'g1', 10, 0)], plain);
  expect(text.split('\n')[2]).toMatch(/ = +0\.0 ms$/);
});

test('without UTF-8 only ASCII is written', () => {
  const long = { ...span('g1', null, 0, 1), name: 'x'.repeat(300) };
  expect(renderWaterfall([long], plain)).toMatch(/^[\u0000-\u007f]*$/);
});

test('a name cannot drive the terminal', () => {
  const evil = { ...span('g1', null, 0, 1), name: 'a\u001b[2Jb' };
  expect(renderWaterfall([evil], plain)).not.toContain('\u001b');
});

test('a trace without spans says so', () => {
  expect(renderWaterfall([], plain)).toBe('No spans are kept for this trace.');
});

test('queries that follow each other in one handler share a line, and are shown each when asked for', () => {
  const query = (id: string, start: number): Span => ({
    ...span(id, 'g1', start, 2),
    name: 'pg.query:SELECT',
    attributes: { 'db.system.name': 'postgresql' },
  });
  const spans = [
    span('g1', null, 0, 100),
    query('m1', 1),
    query('m2', 5),
    span('m3', 'g1', 9, 1),
    query('m4', 20),
  ];
  expect(renderWaterfall(spans, plain).split('\n').slice(1)).toEqual([
    expect.stringContaining('work g1'),
    expect.stringMatching(/2 database queries .*4\.0 ms$/),
    expect.stringContaining('work m3'),
    expect.stringContaining('pg.query:SELECT'),
  ]);
  expect(renderWaterfall(spans, plain, { queries: true }).split('\n')).toHaveLength(6);
});

test('a failed statement still shows in the line it shares', () => {
  const attributes = { 'db.system': 'postgresql' };
  const fine = { ...span('m1', null, 0, 1), attributes };
  const failed = { ...span('m2', null, 1, 1), attributes, status: 'ERROR' as const };
  expect(renderWaterfall([fine, failed], { ...plain, colour: true })).toContain('\u001b[31m');
});

test('the part that all subjects of a kind begin with is left out', () => {
  const sent = { ...span('g1', null, 0, 1), name: 'send cestx.command.machines.start-machine' };
  expect(renderWaterfall([sent], plain)).toContain('  send machines.start-machine ');
});
