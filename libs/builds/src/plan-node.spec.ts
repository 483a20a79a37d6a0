import { describe, expect, it } from 'vitest';

import type { BuildPlan } from './build-plan.ts';
import { sourceOf } from './source-tree.ts';
import { planNode } from './plan-node.ts';

const plan = (manifest: object, files: Record<string, string> = {}) =>
  planNode({ source: sourceOf({ 'package.json': manifest, ...files }), functionName: 'a', args: {} });
const phase = (name: 'install' | 'build' | 'prune', of: BuildPlan) =>
  of.phases.find((one) => one.name === name);
const lock = { 'package-lock.json': '{}' };

describe('what npm is asked to do', () => {
  it('follows the lock file where there is one', () => {
    const install = phase('install', plan({ main: 'x.js' }, { ...lock, 'x.js': '', '.npmrc': '' }));
    expect(install?.commands[0]?.slice(0, 3)).toEqual(['npm', 'ci', '--omit=dev']);
    expect(install?.reads).toEqual(['package.json', 'package-lock.json', '.npmrc']);
    const unlocked = plan({ main: 'x.js' }, { 'x.js': '' });
    expect(phase('install', unlocked)?.commands[0]?.[1]).toBe('install');
  });

  it('installs what a build script needs, and removes it afterwards', () => {
    const built = plan({ scripts: { build: 'tsc', start: 'node dist/x.js' } }, lock);
    expect(phase('install', built)?.commands[0]).toContain('--include=dev');
    expect(phase('build', built)?.commands).toEqual([['npm', 'run', 'build']]);
    expect(phase('prune', built)?.commands[0]?.slice(0, 3)).toEqual(['npm', 'prune', '--omit=dev']);
    expect(plan({ scripts: { start: 'node x.js' } }).phases.map(({ name }) => name)).toEqual(['install']);
  });

  it.each([
    ['an install script', { scripts: { postinstall: 'patch-package' } }, true],
    ['a prepare script', { scripts: { prepare: 'husky' } }, true],
    ['workspaces', { workspaces: ['packages/*'] }, true],
    ['a local folder', { dependencies: { mine: 'file:./mine' } }, true],
    ['packages of the registry', { dependencies: { ms: '^2.0.0' } }, false],
  ])('sees the whole source where the install reads it: %s', (_, manifest, expected) => {
    expect(phase('install', plan(manifest, { 'server.js': '' }))?.reads === 'all').toBe(expected);
  });
});

describe('what is started', () => {
  it.each<[string, object, Record<string, string>, string[]]>([
    [
      'a plain start script, without npm or a shell',
      { scripts: { start: 'node --enable-source-maps src/x.js --a=1' } },
      {},
      ['node', '--enable-source-maps', 'src/x.js', '--a=1'],
    ],
    ['a program of a dependency', { scripts: { start: 'next start' } }, {}, ['next', 'start']],
    [
      'a start script that needs a shell',
      { scripts: { start: 'A=b node x.js' } },
      {},
      ['/bin/sh', '-c', 'A=b node x.js'],
    ],
    [
      'a start script that calls another',
      { scripts: { start: 'npm run serve', serve: 'node x.js' } },
      {},
      ['node', 'x.js'],
    ],
    [
      'scripts that call each other without end',
      { scripts: { start: 'npm run start' } },
      {},
      ['npm', 'run', 'start'],
    ],
    [
      'a start script with one before it',
      { scripts: { prestart: 'node a.js', start: 'node b.js' } },
      {},
      ['/bin/sh', '-c', 'node a.js && node b.js'],
    ],
    [
      'the web line of a Procfile',
      { scripts: { start: 'node no.js' } },
      { Procfile: 'worker: node w.js\nweb: node web.js\n' },
      ['node', 'web.js'],
    ],
    [
      'a Procfile that calls npm',
      { scripts: { start: 'node x.js' } },
      { Procfile: 'web: npm start' },
      ['node', 'x.js'],
    ],
    ['main', { main: './lib/app.js' }, { 'lib/app.js': '' }, ['node', 'lib/app.js']],
    ['main without its extension', { main: 'app' }, { 'app.js': '' }, ['node', 'app.js']],
    ['server.js before index.js', {}, { 'index.js': '', 'server.js': '' }, ['node', 'server.js']],
    ['index.js', { main: 'gone.js' }, { 'index.js': '' }, ['node', 'index.js']],
  ])('is %s', (_, manifest, files, start) => {
    expect(plan(manifest, files).start).toEqual(start);
  });

  it.each([
    ['nothing to start', '{}', 'does not say how it starts'],
    ['a broken package.json', '{', 'not valid JSON'],
    ['a package.json of the wrong shape', '{"scripts": {"start": 1}}', 'scripts.start'],
  ])('is told as missing: %s', (_, text, reason) => {
    const source = sourceOf({ 'package.json': text });
    expect(() => planNode({ source, functionName: 'a', args: {} })).toThrow(reason);
  });
});

describe('another package manager', () => {
  const start = { scripts: { build: 'x', start: 'node x.js' } };
  const install = (manifest: object, files: Record<string, string>) =>
    phase('install', plan({ ...start, ...manifest }, files))?.commands[0]?.join(' ');

  it.each<[string, object, Record<string, string>, string]>([
    [
      'pnpm by its lock file',
      {},
      { 'pnpm-lock.yaml': "lockfileVersion: '6.0'" },
      '--package=pnpm@8.15.9 -- pnpm install --frozen-lockfile',
    ],
    [
      'pnpm as it is named',
      { packageManager: 'pnpm@9.1.0+sha512.ab' },
      { 'pnpm-lock.yaml': '' },
      '--package=pnpm@9.1.0 -- pnpm',
    ],
    [
      'yarn 1',
      {},
      { 'yarn.lock': '# yarn lockfile v1' },
      '--package=yarn@1.22.22 -- yarn install --frozen-lockfile',
    ],
    [
      'a newer yarn',
      {},
      { 'yarn.lock': '__metadata:\n  version: 8' },
      '--package=@yarnpkg/cli-dist@4.18.1 -- yarn install --immutable',
    ],
  ])('is fetched in the right version: %s', (_, manifest, files, expected) => {
    expect(install(manifest, files)).toContain(expected);
  });
});

describe('a function', () => {
  const framework = { dependencies: { '@google-cloud/functions-framework': '^5.0.0' } };
  const handled = (manifest: object, files: Record<string, string>, handler?: string) =>
    planNode({
      source: sourceOf({ 'package.json': manifest, ...files }),
      functionName: 'a',
      handler,
      args: {},
    });

  it('is served by the framework of the project', () => {
    const made = handled(framework, { 'index.js': '' }, 'hello');
    expect(made.start).toEqual(['functions-framework']);
    expect(made.environment).toEqual({ NODE_ENV: 'production', FUNCTION_TARGET: 'hello' });
  });

  it('is served by ours, installed beside the project, where it brings none', () => {
    const made = handled({}, { 'index.js': '' }, 'hello');
    expect(made.phases[0]).toMatchObject({ reads: [], makes: ['.cestx/functions-framework'] });
    expect(made.start[1]).toMatch(/^\.cestx\/functions-framework\/node_modules\/.*\/main\.js$/);
  });

  it('is found by its registration when it is the only one and nothing else starts', () => {
    const one = "functions.http('hello', () => {});";
    expect(handled(framework, { 'index.js': one }).environment).toMatchObject({ FUNCTION_TARGET: 'hello' });
    expect(() => handled(framework, { 'index.js': `${one}functions.cloudEvent("b", x)` })).toThrow(
      'several functions (hello, b)',
    );
    expect(handled({ ...framework, scripts: { start: 'node x.js' } }, { 'index.js': one }).start).toEqual([
      'node',
      'x.js',
    ]);
  });

  it('needs a module it lies in', () => {
    expect(() => handled(framework, {}, 'hello')).toThrow('call it index.js');
  });
});
