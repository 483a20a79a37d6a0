import { dirname } from 'node:path/posix';

import type { SourceTree } from './source-tree.ts';
import type { PlanRequest } from './build-plan.ts';
import { failed } from './plan-node-install.ts';

/** The folders of a module that hold a program; `.` is the top. */
export function goMains(source: SourceTree): string[] {
  const folders = source.files
    .filter(({ path }) => path.endsWith('.go') && !path.endsWith('_test.go'))
    .filter(({ path }) => !/(^|\/)(vendor|testdata|[._][^/]*)\//.test(path))
    .filter(({ content }) => isMain(content.toString('utf8')))
    .map(({ path }) => dirname(path));
  return [...new Set(folders)].sort();
}

function isMain(code: string): boolean {
  const before = code.slice(0, code.search(/^package /m));
  return (
    /^package main\b/m.test(code) &&
    /^func main\(\)/m.test(code) &&
    !/^\/\/ ?(?:go:build|\+build)\b.*\bignore\b/m.test(before)
  );
}

/** The package to build: the one named, the one at the top, the one called like the program or function, or the only one. */
export function chooseGoMain(
  { source, functionName, args }: PlanRequest,
  program: string | undefined,
): string {
  const named = args['MAIN'];
  const mains = goMains(source);
  if (named !== undefined) {
    const folder = named.replace(/^\.\//, '').replace(/\/$/, '') || '.';
    if (mains.includes(folder)) return asPackage(folder);
    throw failed(`build.args.MAIN names ${named}, where there is no main package; there ${list(mains)}`);
  }
  const wanted = [...(program ? [`cmd/${program}`] : []), '.', `cmd/${functionName}`];
  const found = wanted.find((folder) => mains.includes(folder));
  if (found !== undefined) return asPackage(found);
  const commands = mains.filter((folder) => /^cmd(\/|$)/.test(folder));
  const [only, ...others] = commands.length > 0 ? commands : mains;
  if (only === undefined) {
    throw failed(
      'there is no main package at the top or in cmd/<name>, and no function registered with the Functions Framework',
    );
  }
  if (others.length === 0) return asPackage(only);
  throw failed(
    `there ${list(mains)}; name the function like the folder in cmd, or set build.args.MAIN in function.yaml to one of them`,
  );
}

function asPackage(folder: string): string {
  return folder === '.' ? '.' : `./${folder}`;
}

function list(mains: readonly string[]): string {
  return mains.length === 0 ? 'is none' : `are main packages in ${mains.join(', ')}`;
}
