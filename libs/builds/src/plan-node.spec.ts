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
