import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { chooseTemplate, type Language, planBuild, sourceOf } from '#builds';
import { parseManifest } from '#contracts';

import { runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-new-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(...argv: string[]) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await runProgram(argv, {
    environment: {},
    folder,
    stdin: Readable.from([]),
    stdout,
    stderr,
    signal: new AbortController().signal,
  });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { exitCode, stdout: text(stdout), stderr: text(stderr) };
}

async function make(template: string, style: string) {
  const { exitCode, stdout } = await run(
    'new',
    'my-work',
    '--template',
    template,
    '--style',
    style,
    '--json',
  );
  expect(exitCode).toBe(0);
  const { files } = JSON.parse(stdout) as { files: string[] };
  const texts = await Promise.all(
    files.map(async (path) => [path, await readFile(join(folder, 'my-work', path), 'utf8')]),
  );
  return Object.fromEntries(texts) as Record<string, string>;
}

test.each([
  ['node', 'app', ['node', 'server.js']],
  ['node', 'handler', ['functions-framework']],
  ['python', 'app', ['gunicorn', expect.any(String), expect.any(String), expect.any(String), 'app:app']],
  ['python', 'handler', ['functions-framework']],
  ['go', 'app', ['bin/app']],
  ['go', 'handler', ['bin/app']],
])(
  'a new project in %s as %s is one that the platform knows how to build and start',
  async (template, style, start) => {
    const texts = await make(template, style);
    expect(texts['.gitignore'] ?? 'none').not.toContain('starter-name');
    const manifest = parseManifest(texts['function.yaml'] ?? '');
    expect(manifest).toMatchObject({ name: 'my-work', template });
    const source = sourceOf(texts);
    expect(chooseTemplate(source, {}).template).toBe(template);
    const plan = planBuild(template as Language, {
      source,
      functionName: 'my-work',
      args: {},
      handler: manifest.handler,
    });
    expect(plan.start).toEqual(start);
    if (style === 'handler') expect(plan.environment).toMatchObject({ FUNCTION_TARGET: 'hello' });
  },
);

test.each([
  ['node', 'app'],
  ['node', 'handler'],
  ['python', 'app'],
  ['python', 'handler'],
  ['go', 'app'],
  ['go', 'handler'],
  ['dockerfile', 'app'],
])(
  'a new project in %s as %s has tests, says what to do, and bears its own name everywhere',
  async (template, style) => {
    const texts = await make(template, style);
    expect(
      Object.keys(texts).filter((path) => /(^|\/)(test_\w+\.py|\w+_test\.go|\w+\.test\.js)$/.test(path)),
    ).toHaveLength(1);
    expect(texts['README.md']).toMatch(/^# my-work\n[^]*cestx deploy/);
    expect(texts['README.md']?.split('\n').length).toBeLessThan(16);
    expect(Object.values(texts).join('\n')).not.toContain('starter-name');
  },
);

test('a Dockerfile of a new project starts what it copies', async () => {
  const texts = await make('dockerfile', 'app');
  expect(chooseTemplate(sourceOf(texts), {}).template).toBe('dockerfile');
  expect(texts['Dockerfile']).toMatch(/USER 65534/);
});

test('what is there is never overwritten', async () => {
  await mkdir(join(folder, 'mine'));
  await writeFile(join(folder, 'mine', 'notes.txt'), 'precious');
  await writeFile(join(folder, 'file'), 'precious');
  for (const name of ['mine', 'file']) {
    const { exitCode, stderr } = await run('new', name);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining(`${name} is there already`)]);
  }
  expect(await readdir(folder)).toEqual(['file', 'mine']);
  expect(await readdir(join(folder, 'mine'))).toEqual(['notes.txt']);
});

test('an empty folder is filled', async () => {
  await mkdir(join(folder, 'empty'));
  expect((await run('new', 'empty')).exitCode).toBe(0);
  expect(await readdir(join(folder, 'empty'))).toContain('server.js');
});

test.each([
  [['new', '../escape'], /must be a name/],
  [['new', 'Upper'], /must be a name/],
  [['new', 'x', '--template', 'cobol'], /Allowed choices are node, python, go, dockerfile/],
  [['new', 'x', '--template', 'dockerfile', '--style', 'handler'], /says itself what starts/],
])('%j is wrong usage and leaves nothing', async (argv, expected) => {
  const { exitCode, stderr } = await run(...argv);
  expect([exitCode, stderr]).toEqual([2, expect.stringMatching(expected)]);
  expect(await readdir(folder)).toEqual([]);
});
