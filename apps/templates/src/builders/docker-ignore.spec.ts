import { expect, it } from 'vitest';

import { sourceOf } from '#builds';

import { withoutIgnored } from './docker-ignore.ts';

const kept = (ignore: string, paths: string[]) =>
  withoutIgnored(sourceOf(Object.fromEntries(paths.map((path) => [path, '']))), ignore).files.map(
    ({ path }) => path,
  );

it.each<[string, string[], string[]]>([
  ['# nothing\n\n  \n', ['a', '# nothing'], ['a', '# nothing']],
  ['node_modules', ['node_modules/x/y', 'app/node_modules/x'], ['app/node_modules/x']],
  ['**/node_modules/', ['node_modules/x', 'a/b/node_modules/x', 'a/b'], ['a/b']],
  ['/dist/', ['dist/x', 'src/dist'], ['src/dist']],
  ['*.log', ['a.log', 'b/a.log', 'log'], ['b/a.log', 'log']],
  ['**/*.log', ['a.log', 'b/c/a.log', 'log'], ['log']],
  ['*/temp*', ['a/temp', 'a/tempo/x', 'temp', 'a/b/temp'], ['temp', 'a/b/temp']],
  ['temp?', ['temp', 'tempa', 'tempab'], ['temp', 'tempab']],
  ['*\n!src\n!package.json', ['src/a/b', 'package.json', 'README'], ['src/a/b', 'package.json']],
  ['*.md\n!README.md\nREADME.md', ['README.md', 'a'], ['a']],
  ['docs/**', ['docs', 'docs/a/b'], ['docs']],
  ['**', ['a', 'b/c'], []],
  ['a/**/z', ['a/z', 'a/b/c/z', 'z'], ['z']],
  ['[a-c]?\n[^x-z]', ['ax', 'dx', 'y', 'b'], ['dx', 'y']],
  ['\\*', ['*', 'a'], ['a']],
  ['./a/../b', ['a', 'b'], ['a']],
  ['../b\n.', ['b'], ['b']],
  ['A', ['a'], ['a']],
])('%j leaves of %j only %j', (ignore, paths, left) => {
  expect(kept(ignore, paths)).toEqual(left);
});

it('is never kept busy by a hostile pattern', () => {
  const path = `${'a'.repeat(200)}/${'a/'.repeat(100)}b`;
  expect(kept(`(a+)+$\n${'*a'.repeat(100)}c\n${'**/a/'.repeat(50)}c\n[`, [path])).toEqual([path]);
});
