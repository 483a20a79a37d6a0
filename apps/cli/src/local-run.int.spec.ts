import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { eventually, languageAvailable } from '#testing';

import { runProgram } from './program.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-local-run-'));
});
const started: { exitCode: Promise<number>; interrupt: () => void }[] = [];
afterAll(async () => {
  for (const { interrupt } of started) interrupt();
  await Promise.all(started.map(({ exitCode }) => exitCode));
  await rm(folder, { recursive: true, force: true });
});

const caches = { GOCACHE: join(homedir(), '.cache/go-build'), PIP_CACHE_DIR: join(homedir(), '.cache/pip') };

function start(...argv: string[]) {
  const interrupt = new AbortController();
  const out = { stdout: '', stderr: '' };
  const screen = (name: 'stdout' | 'stderr') =>
    new PassThrough().setEncoding('utf8').on('data', (piece: string) => (out[name] += piece));
  const exitCode = runProgram(argv, {
    environment: { ...caches, ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    folder,
    stdin: Readable.from([]),
    stdout: screen('stdout'),
    stderr: screen('stderr'),
    signal: interrupt.signal,
  });
  const run = { out, exitCode, interrupt: () => interrupt.abort() };
  started.push(run);
  return run;
}

async function run(...argv: string[]) {
  const { out, exitCode } = start(...argv);
  return { exitCode: await exitCode, ...out };
}

/** Runs a project until it can be called, calls it, and ends it as Ctrl-C does. */
async function runAndCall(project: string, path = '/') {
  const { out, exitCode, interrupt } = start('local-run', project, '--json');
  const ended = exitCode.then((code) => {
    if (out.stdout === '') throw new Error(`it ended with ${code}: ${out.stderr}`);
  });
  await Promise.race([ended, eventually(() => out.stdout.endsWith('\n'), { timeoutMs: 240_000 })]);
  const { url } = JSON.parse(out.stdout) as { url: string };
  const body = await (await fetch(url + path)).text();
  interrupt();
  expect(await exitCode).toBe(0);
  await expect(fetch(url)).rejects.toThrow();
  return { body, log: out.stderr };
}

async function project(name: string, files: Record<string, string>) {
  for (const [path, text] of Object.entries({ 'function.yaml': `name: ${name}\n`, ...files })) {
    await mkdir(dirname(join(folder, name, path)), { recursive: true });
    await writeFile(join(folder, name, path), text);
  }
}

const execute = promisify(execFile);
const examples = join(import.meta.dirname, '../../../examples');

describe.concurrent(
  'a new project runs without the platform, and its own tests and those of the examples pass:',
  { timeout: 300_000 },
  () => {
    test('Node.js', async () => {
      await run('new', 'js', '--template', 'node', '--style', 'handler');
      expect((await runAndCall('js', '/?name=Ada')).body).toBe('Hello, Ada!\n');
      await run('new', 'js-app', '--template', 'node');
      await run('new', 'js-docker', '--template', 'dockerfile');
      const filter = (path: string) => !path.endsWith('node_modules');
      await cp(join(examples, 'on-event-node'), join(folder, 'js-event'), { recursive: true, filter });
      const packages = await findBuilt('index.test.js', 'node_modules');
      for (const name of ['js', 'js-event']) await symlink(packages, join(folder, name, 'node_modules'));
      for (const name of ['js', 'js-event', 'js-app', 'js-docker'])
        await execute(process.execPath, ['--test'], { cwd: join(folder, name) });
      await execute(process.execPath, ['--test'], { cwd: join(examples, 'hello-dockerfile') });
    });

    test.skipIf(!languageAvailable('python'))('Python', async () => {
      await run('new', 'py', '--template', 'python', '--style', 'handler');
      expect((await runAndCall('py', '/?name=Ada')).body).toBe('Hello, Ada!\n');
      const python = await findBuilt('test_main.py', '.venv/bin/python');
      await execute(python, ['-m', 'unittest'], { cwd: join(folder, 'py') });
      // The framework brings Flask, which is all that this one needs.
      await run('new', 'py-app', '--template', 'python');
      for (const cwd of [join(folder, 'py-app'), join(examples, 'on-event-python')])
        await execute(python, ['-B', '-m', 'unittest'], { cwd });
    });

    test.skipIf(!languageAvailable('go'))('Go', async () => {
      await run('new', 'go', '--template', 'go', '--style', 'handler');
      expect((await runAndCall('go', '/?name=Ada')).body).toBe('Hello, Ada!\n');
      await run('new', 'go-app', '--template', 'go');
      const path = `${process.env['PATH']}:/usr/local/go/bin`;
      const env = { ...caches, ...process.env, PATH: path };
      for (const cwd of [join(folder, 'go'), join(folder, 'go-app'), join(examples, 'on-event-go')])
        await execute('go', ['test', './...'], { cwd, env });
    });
  },
);

/** Something that was installed for the project that has this test. */
async function findBuilt(testFile: string, path: string): Promise<string> {
  const runs = join(folder, 'cache/cestx/local-run');
  for (const one of await readdir(runs)) {
    const source = join(runs, one, 'source');
    const names = await readdir(source).catch((): string[] => []);
    if (names.includes(testFile) && names.includes(path.split('/')[0] ?? '')) return join(source, path);
  }
  throw new Error(`no project with ${testFile} was built`);
}

describe('local-run', () => {
  test('gives a program the environment of its manifest and of a machine, and not that of the shell', async () => {
    await project('environment', {
      'function.yaml': 'name: environment\nenv: { GREETING: "${GREETING:-Hi}" }\n',
      'package.json': '{"scripts":{"start":"node server.js"}}',
      'server.js': `require('node:http').createServer((q, s) => s.end(JSON.stringify(process.env))).listen(process.env.PORT)`,
    });
    process.env['OF_THE_SHELL'] = '1';
    const { body } = await runAndCall('environment');
    delete process.env['OF_THE_SHELL'];
    const seen = JSON.parse(body) as Record<string, string>;
    expect(seen).toMatchObject({ GREETING: 'Hi', CESTX_FUNCTION: 'environment', K_SERVICE: 'environment' });
    expect(seen).toMatchObject({ NODE_ENV: 'production' });
    expect(seen).not.toHaveProperty('OF_THE_SHELL');
  });

  test('installs once, and again when what the install follows from has changed; code is always the latest', async () => {
    const files = (text: string, version: string) => ({
      'package.json': JSON.stringify({
        version,
        scripts: { start: 'node server.js' },
        dependencies: { ms: '2.1.3' },
      }),
      'server.js': `require('ms'); require('node:http').createServer((q, s) => s.end('${text}')).listen(process.env.PORT)`,
    });
    const built = async () => {
      const { out, exitCode, interrupt } = start('local-run', 'twice');
      await eventually(() => /Running/.test(out.stdout), { timeoutMs: 60_000 });
      const url = /http:\S+/.exec(out.stdout)?.[0] ?? '';
      const body = await (await fetch(url)).text();
      interrupt();
      await exitCode;
      return { body, installed: out.stdout.includes('npm install') };
    };
    await project('twice', { ...files('one', '1.0.0'), 'old.js': '' });
    expect(await built()).toEqual({ body: 'one', installed: true });
    await project('twice', files('two', '1.0.0'));
    expect(await built()).toEqual({ body: 'two', installed: false });
    await project('twice', files('three', '1.0.1'));
    expect(await built()).toEqual({ body: 'three', installed: true });
    expect(await readdir(join(folder, 'twice'))).not.toContain('node_modules');
  });

  test.each([
    [
      'ends',
      { 'server.js': `console.error('no such luck'); process.exit(3)` },
      /exited with code 3 before it could be called/,
    ],
    [
      'leaves',
      {
        'server.js': `require('node:http').createServer().listen(process.env.PORT); setTimeout(() => process.exit(4), 1000)`,
      },
      /leaves exited with code 4/,
    ],
    [
      'deaf',
      {
        'server.js': `setInterval(() => {}, 1000)`,
        'function.yaml': 'name: deaf\nhealth: { startup: 500ms }\n',
      },
      /did not listen on \$PORT/,
    ],
    ['docker', { Dockerfile: 'FROM scratch\n' }, /local-run runs node, python, go/],
    [
      'unknown',
      { 'package.json': '{"dependencies":{"cestx-no-such-package":"9.9.9"},"scripts":{"start":"x"}}' },
      /npm install failed: [^]*cestx-no-such-package/,
    ],
  ])('a project that %s is told why, with 1', async (name, files, expected) => {
    await project(name, { 'package.json': '{}', ...files });
    const { exitCode, stderr } = await run('local-run', name);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(expected)]);
  });
});
