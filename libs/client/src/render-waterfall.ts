import type { Span } from '#contracts';

import { clip, harmless, paint, renderDuration, type Style, type Tint } from './render-style.ts';

interface Row {
  span: Span;
  depth: number;
}

const tints: Tint[] = ['cyan', 'magenta', 'yellow', 'green', 'blue'];
const durationWidth = 9;
const maximalIndent = 16;

/**
 * Every hop of a trace: service, name (indented under its parent), when in the whole, how long.
 * Queries that follow each other in one handler share a line; `queries: true` shows each.
 */
export function renderWaterfall(
  spans: readonly Span[],
  style: Style,
  options: { queries?: boolean } = {},
): string {
  if (spans.length === 0) return 'No spans are kept for this trace.';
  const every = orderByParent(spans);
  const rows = options.queries ? every : foldQueries(every);
  const begin = Math.min(...spans.map(startOf));
  const end = Math.max(...spans.map((span) => startOf(span) + span.durationMs));
  const whole = Math.max(end - begin, 0.001);

  const services = [...new Set(rows.map((row) => row.span.service))];
  const serviceWidth = Math.min(Math.max(...services.map((name) => name.length)), 14);
  const barWidth = style.width < 60 ? 6 : Math.min(40, Math.floor(style.width * 0.3));
  const free = style.width - serviceWidth - barWidth - durationWidth - 6;
  const widest = Math.max(...rows.map((row) => indentOf(row).length + nameOf(row.span).length));
  const nameWidth = Math.max(4, Math.min(free, widest));

  const lines = rows.map((row) => {
    const service = clip(harmless(row.span.service), serviceWidth, style).padEnd(serviceWidth);
    const name = clip(indentOf(row) + harmless(nameOf(row.span)), nameWidth, style).padEnd(nameWidth);
    const tint = tints[services.indexOf(row.span.service) % tints.length] ?? 'cyan';
    const failed = row.span.status === 'ERROR';
    const bar = barOf(row.span, begin, whole, barWidth, style);
    const time = renderDuration(row.span.durationMs).padStart(durationWidth);
    const shownBar = bar.blank + paint(bar.filled, failed ? 'red' : tint, style) + bar.rest;
    return `${paint(service, tint, style)}  ${failed ? paint(name, 'red', style) : name}  ${shownBar}  ${time}`;
  });
  const failures = spans.filter((span) => span.status === 'ERROR').length;
  const summary = `trace ${spans[0]?.traceId}: ${spans.length} ${spans.length === 1 ? 'hop' : 'hops'}, ${renderDuration(whole)}${failures > 0 ? `, ${failures} with an error` : ''}`;
  return [paint(summary, 'bold', style), ...lines].join('\n');
}

/** Joins neighbouring queries of one parent into one row that lasts as long as they took together. */
function foldQueries(rows: Row[]): Row[] {
  const folded: Row[] = [];
  let count = 0;
  for (const row of rows) {
    const last = folded.at(-1);
    if (
      !last ||
      !isQuery(row.span) ||
      !isQuery(last.span) ||
      last.span.parentSpanId !== row.span.parentSpanId
    ) {
      folded.push(row);
      count = 1;
      continue;
    }
    count += 1;
    const durationMs = last.span.durationMs + row.span.durationMs;
    folded[folded.length - 1] = {
      ...last,
      span: {
        ...last.span,
        durationMs,
        name: `${count} database queries`,
        status: worse(last.span, row.span),
      },
    };
  }
  return folded;
}

function worse(a: Span, b: Span): Span['status'] {
  return a.status === 'ERROR' || b.status === 'ERROR' ? 'ERROR' : a.status;
}

function isQuery(span: Span): boolean {
  return span.attributes['db.system.name'] !== undefined || span.attributes['db.system'] !== undefined;
}

function indentOf(row: Row): string {
  return ' '.repeat(Math.min(row.depth * 2, maximalIndent));
}

/** Parents before their children, both by start. A span whose parent is not there (or is itself below it) is a root. */
function orderByParent(spans: readonly Span[]): Row[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const children = new Map<string | null, Span[]>();
  for (const span of [...spans].sort((a, b) => startOf(a) - startOf(b))) {
    const parent = span.parentSpanId !== null && byId.has(span.parentSpanId) ? span.parentSpanId : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const rows: Row[] = [];
  const seen = new Set<Span>();
  const visit = (span: Span, depth: number) => {
    if (seen.has(span)) return;
    seen.add(span);
    rows.push({ span, depth });
    for (const child of children.get(span.spanId) ?? []) visit(child, depth + 1);
  };
  for (const root of children.get(null) ?? []) visit(root, 0);
  for (const span of spans) visit(span, 0);
  return rows;
}

/** Subjects without what all of them begin with: the width is worth more. */
function nameOf(span: Span): string {
  return span.name.replace(/\bcestx\.(command|event|query)\./, '').replace(/\.\*$/, '');
}

function barOf(span: Span, begin: number, whole: number, width: number, style: Style) {
  const from = Math.min(width - 1, Math.floor(((startOf(span) - begin) / whole) * width));
  const length = Math.max(1, Math.min(width - from, Math.round((span.durationMs / whole) * width)));
  return {
    blank: ' '.repeat(from),
    filled: (style.unicode ? '━' : '=').repeat(length),
    rest: ' '.repeat(width - from - length),
  };
}

/** Milliseconds since 1970 with the digits behind the milliseconds that `Date` drops. */
function startOf(span: Span): number {
  const digits = /\.(\d+)/.exec(span.startTime)?.[1] ?? '';
  return Date.parse(span.startTime) + Number(`0.${digits.slice(3) || '0'}`);
}
