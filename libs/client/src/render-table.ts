import { harmless, paint, type Style } from './render-style.ts';

export interface Column<T> {
  title: string;
  value: (row: T) => string;
  align?: 'left' | 'right';
}

/** Rows under their titles, each column as wide as its widest value. */
export function renderTable<T>(columns: readonly Column<T>[], rows: readonly T[], style: Style): string {
  const cells = rows.map((row) => columns.map((column) => harmless(column.value(row))));
  const widths = columns.map((column, index) =>
    Math.max(column.title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const layOut = (line: readonly string[]) =>
    line
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return columns[index]?.align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const title = paint(layOut(columns.map((column) => column.title.toUpperCase())), 'dim', style);
  return [title, ...cells.map(layOut)].join('\n');
}

/** One thing's facts, a line each, values aligned. Facts that are null are left out. */
export function renderFacts(facts: readonly (readonly [string, string | null])[], style: Style): string {
  const known = facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known
    .map(([name, value]) => `${paint(name.padEnd(width), 'dim', style)}  ${harmless(value)}`)
    .join('\n');
}
