import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { findKey } from './find-key.ts';
import { runProgram } from './program.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-cli-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Nobody listens on port 1. */
const nowhere = 'http://127.0.0.1:1';

async function run(...argv: string[]) {
  return runAt(nowhere, new AbortController().signal, ...argv);
}

async function runAt(url: string, signal: AbortSignal, ...argv: string[]) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await runProgram(argv, {
    environment: { CESTX_URL: url, CESTX_KEY: 'k' },
    folder,
    stdin: Readable.from([]),
    stdout,
    stderr,
    signal,
  });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { exitCode, stdout: text(stdout), stderr: text(stderr) };
}

test.each([
  [['frobnicate'], /unknown command/],
  [['deploy', '--frobnicate'], /unknown option/],
  [['invoke'], /missing required argument 'name'/],
  [['logs', 'x', '--tail', 'many'], /must be a whole number/],
  [['scale', 'x', '--max', 'many'], /must be a whole number/],
  [['scale', 'x', '--stop-after', '5'], /must be a duration such as/],
  [['trace', 'nonsense'], /neither a trace id/],
  [['invoke', 'x', '-H', 'nonsense'], /is not a header/],
  [['invoke', 'x', '-d', '@missing.json'], /missing\.json cannot be read/],
  [['deploy', '.'], /There is no function\.yaml in \./],
])('%j is wrong usage: exit code 2 and what is wrong', async (argv, expected) => {
  const { exitCode, stderr } = await run(...argv);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(expected);
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('asking for help is no error', async () => {
  expect(await run('--help')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('deploy [options] [folder]'),
  });
  expect(await run('help', 'invoke')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('--data'),
  });
});

test.each([
  ['list'],
  ['describe', 'x'],
  ['scale', 'x', '--min', '1'],
  ['logs', 'x'],
  ['remove', 'x'],
  ['cancel', 'x'],
  ['invoke', 'x'],
])('%s without a gateway ends with 1 and the next step, never a stack trace', async (...argv) => {
  const { exitCode, stdout, stderr } = await run(...argv);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toMatch(/npm start/);
  expect(stderr).not.toMatch(/\n\s+at /);
});

test('with --json an error is one JSON object on stderr', async () => {
  const { exitCode, stderr } = await run('list', '--json');
  expect(exitCode).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    code: 'unreachable',
    message: expect.any(String),
    help: expect.any(String),
  });
});

test.each([
  [['--url', 'http://127.0.0.1:2', '--json', 'list']],
  [['list', '--url', 'http://127.0.0.1:2', '--json']],
])('%j: --url and --json count before the verb and behind it', async (argv) => {
  const { exitCode, stderr } = await run(...argv);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({ message: expect.stringContaining('127.0.0.1:2') });
});

test('a manifest is checked before anything is sent, and the wrong key is named', async () => {
  await writeFile(join(folder, 'function.yaml'), 'name: x\ntimout: 3s\n');
  expect(await run('deploy')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('did you mean "timeout"?'),
  });
  await writeFile(join(folder, 'function.yaml'), 'name: ${UNSET_NAME}\n');
  expect(await run('deploy')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('${UNSET_NAME}'),
  });
});

test('a link in the folder is refused before anything is sent', async () => {
  await writeFile(join(folder, 'function.yaml'), 'name: x\n');
  await symlink('/etc/passwd', join(folder, 'secret'));
  expect(await run('deploy')).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('secret is a symbolic link'),
  });
});

test('doctor tells what is wrong and what to do, and fails', async () => {
  const { exitCode, stdout } = await run('doctor', '--json');
  expect(exitCode).toBe(1);
  const { healthy, findings } = JSON.parse(stdout) as {
    healthy: boolean;
    findings: { name: string; state: string; help?: string }[];
  };
  expect(healthy).toBe(false);
  expect(findings.find(({ name }) => name === 'gateway')).toMatchObject({
    state: 'failed',
    help: expect.any(String),
  });
});

test('the key comes from CESTX_KEY, else the data folder, else the nearest .cestx above', async () => {
  const inner = join(folder, 'a', 'b');
  await mkdir(join(folder, '.cestx'), { recursive: true });
  await mkdir(inner, { recursive: true });
  await writeFile(join(folder, '.cestx', 'admin-key'), 'from-above\n');
  expect(await findKey({}, inner)).toEqual({ key: 'from-above', from: join(folder, '.cestx', 'admin-key') });
  expect(await findKey({ CESTX_DATA: join(folder, '.cestx') }, '/')).toMatchObject({ key: 'from-above' });
  expect(await findKey({ CESTX_KEY: 'named' }, inner)).toEqual({ key: 'named', from: 'CESTX_KEY' });
  expect(await findKey({ CESTX_DATA: inner }, inner)).toBeNull();
});

/** A gateway with one deployment, `d1` of `x`: it builds until it is cancelled, or is live whatever one does. */
async function gatewayWithOneDeployment(
  state: 'running' | 'live',
  onFollowed: () => void = () => undefined,
): Promise<{ url: string; cancelled: () => boolean; close: () => void }> {
  let cancelled = false;
  const error = { step: 'build-source', code: 'cancelled', message: 'It was cancelled.', lastLines: [] };
  const step = { name: 'build-source', startedAt: null, ms: null };
  const common = { id: 'd1', function: 'x', url: null, revision: 'x-v1', traceId: null };
  const event = (value: object) => `event: deployment\ndata: ${JSON.stringify({ ...common, ...value })}\n\n`;
  const failed = event({ state: 'failed', error, steps: [{ ...step, state: 'failed', error }] });
  let tellCancelled = (): void => undefined;
  const listener: RequestListener = (request, response) => {
    request.resume();
    if (request.url === '/v1/deployments/d1/events') {
      if (cancelled) response.end(failed);
      else if (state === 'live') response.end(event({ state, error: null, steps: [] }));
      else {
        tellCancelled = () => response.end(failed);
        response.write(event({ state, error: null, steps: [{ ...step, state: 'running', error: null }] }));
        onFollowed();
      }
      return;
    }
    if (request.url === '/v1/deployments/d1/cancel') {
      cancelled = state === 'running';
      tellCancelled();
    }
    response.writeHead(202).end('{"deploymentId":"d1","function":"x"}');
  };
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cancelled: () => cancelled,
    close,
  };
}

test('Ctrl-C while a deployment is followed cancels it, and follows it to its end', async () => {
  await writeFile(join(folder, 'function.yaml'), 'name: x\n');
  const interrupted = new AbortController();
  const gateway = await gatewayWithOneDeployment('running', () => interrupted.abort());
  try {
    const { exitCode, stdout, stderr } = await runAt(gateway.url, interrupted.signal, 'deploy');
    expect(gateway.cancelled()).toBe(true);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('cancelling d1 (Ctrl-C again to leave it)');
    expect(stdout).toContain('build-source');
    expect(stderr).toContain('It was cancelled.');
  } finally {
    gateway.close();
  }
});

test('cancel ends well when the deployment was cancelled, and says so when it was live already', async () => {
  const { signal } = new AbortController();
  const building = await gatewayWithOneDeployment('running');
  const live = await gatewayWithOneDeployment('live');
  try {
    const done = await runAt(building.url, signal, 'cancel', 'd1');
    expect(done).toMatchObject({ exitCode: 0, stderr: '' });
    expect(done.stdout).toMatch(/build-source[^]*Cancelled the deployment of x/);
    const inJson = await runAt(building.url, signal, 'cancel', 'd1', '--json');
    expect(JSON.parse(inJson.stdout)).toMatchObject({ state: 'failed', error: { code: 'cancelled' } });
    const tooLate = await runAt(live.url, signal, 'cancel', 'd1');
    expect(tooLate).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('it is live') });
  } finally {
    building.close();
    live.close();
  }
});
