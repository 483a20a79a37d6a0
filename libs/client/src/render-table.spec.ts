import { expect, test } from 'vitest';

import { renderDuration, styleFor, type Style } from './render-style.ts';
import { renderFacts, renderTable } from './render-table.ts';

const plain: Style = { colour: false, unicode: false, width: 80 };

test('columns are as wide as their widest value and numbers stand to the right', () => {
  const text = renderTable(
    [
      { title: 'name', value: (row: { name: string; calls: number }) => row.name },
      { title: 'calls', value: (row) => String(row.calls), align: 'right' },
    ],
    [
      { name: 'echo-name', calls: 7 },
      { name: 'b', calls: 123_456 },
    ],
    plain,
  );
  expect(text).toBe('NAME        CALLS\necho-name       7\nb          123456');
});

test('facts that are not known are left out', () => {
  expect(
    renderFacts(
      [
        ['name', 'echo'],
        ['url', null],
        ['revision', 'echo-v1'],
      ],
      plain,
    ),
  ).toBe('name      echo\nrevision  echo-v1');
});

test('durations read well from microseconds to minutes', () => {
  expect([0.42, 12.4, 1250, 125_000].map(renderDuration)).toEqual(['0.4 ms', '12 ms', '1.25 s', '2 m 05 s']);
});

test('colour needs a terminal and yields to NO_COLOR; drawing needs a UTF-8 locale', () => {
  expect(styleFor({ isTTY: true, columns: 90 }, { LANG: 'C.UTF-8' })).toEqual({
    colour: true,
    unicode: true,
    width: 90,
  });
  expect(styleFor({ isTTY: true }, { NO_COLOR: '1' }).colour).toBe(false);
  expect(styleFor({}, { LC_ALL: 'C' })).toEqual({ colour: false, unicode: false, width: 100 });
});
