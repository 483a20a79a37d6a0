import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { CestxError } from '#contracts';

import { GitFetcher, type GitFetcherOptions } from './git-fetcher.ts';
import { startGitServer, type GitServer } from './git-server.fixture.ts';

describe('a source from git', () => {
  let server: GitServer;
  let data: string;
  let first: string;

  beforeAll(async () => {
    server = await startGitServer();
    data = await mkdtemp(join(tmpdir(), 'cestx-git-'));
    await chmod(data, 0o755);
    first = await server.commit('main', { 'function.yaml': 'name: root', 'apps/web/server.js': '// first' });
    server.tag('v1');
    await server.commit('main', { 'apps/web/server.js': '// second' });
  });
  afterAll(async () => {
    await server?.stop();
    await rm(data, { recursive: true, force: true });
  });
  const fetcher = (options: Partial<GitFetcherOptions> = {}) =>
    new GitFetcher({
      hosts: { open: [], private: [server.host] },
      folder: data,
      timeout: 30_000,
      maxBytes: 1024 ** 2,
      path: process.env['PATH'] ?? '',
      ...options,
    });
  const url = (path = '/repository.git') => `http://${server.host}${path}`;
  const textsOf = async (request: { ref?: string; folder?: string }) => {
    const { tree, commit } = await fetcher().fetch({ url: url(), ...request });
    const files = tree.files.map(({ path, content }) => [path, content.toString()] as const);
    return { commit, files: Object.fromEntries(files) };
  };
  const refusal = (
    request: { url?: string; ref?: string; folder?: string },
    options?: Partial<GitFetcherOptions>,
  ) =>
    fetcher(options)
      .fetch({ url: url(), ...request })
      .then(
        () => expect.unreachable('it was fetched'),
        (error: unknown) => error as CestxError,
      );

  it('is what is there at a branch, a tag or a commit, as a whole or a folder of it', async () => {
    const second = { 'function.yaml': 'name: root', 'apps/web/server.js': '// second' };
    expect((await textsOf({})).files).toEqual(second);
    expect((await textsOf({ ref: 'main', folder: 'apps/web' })).files).toEqual({ 'server.js': '// second' });
    expect((await textsOf({ ref: 'v1', folder: 'apps/web' })).files).toEqual({ 'server.js': '// first' });
    expect(await textsOf({ ref: first, folder: 'apps' })).toEqual({
      commit: first,
      files: { 'web/server.js': '// first' },
    });
  });

  it('comes from the address its host was resolved to, and from no other', async () => {
    const port = server.host.split(':')[1];
    const byName = { hosts: { open: [], private: [`localhost:${port}`] } };
    const request = { url: `http://localhost:${port}/repository.git`, folder: 'apps/web' };
    expect((await fetcher(byName).fetch(request)).tree.files).toHaveLength(1);
  });

  it('that is not there is told by what is missing', async () => {
    expect((await refusal({ ref: 'nowhere' })).message).toMatch(/^ref: there is no branch or tag "nowhere"/);
    expect((await refusal({ ref: '0'.repeat(40) })).message).toMatch(/^ref: /);
    expect((await refusal({ folder: 'apps/none' })).message).toBe(
      'folder: there is no folder "apps/none" in it.',
    );
    expect((await refusal({ folder: 'function.yaml' })).message).toMatch(/^folder: /);
    expect((await refusal({ url: url('/none.git') })).message).toMatch(/^git: there is no repository at /);
  });

  it('is fetched from nowhere else: neither a private address behind an allowed name, nor where it is sent', async () => {
    const port = server.host.split(':')[1];
    const open = [`localhost:${port}`];
    const error = await refusal(
      { url: `https://localhost:${port}/repository.git` },
      { hosts: { open, private: [] } },
    );
    expect(error.message).toMatch(/is at a private address/);
    expect((await refusal({ url: url('/elsewhere/repository.git') })).message).toMatch(
      /sends to another address/,
    );
  });

  it('with a link in it is refused like an archive with one', async () => {
    await server.commit('linked', {}, { secrets: '/etc' });
    expect(await refusal({ ref: 'linked' })).toMatchObject({
      code: 'invalid-archive',
      message: expect.stringContaining('"secrets" is a link') as string,
    });
  });

  it('that is too large, or takes too long, is given up, and nothing of it stays', async () => {
    await server.commit('large', { blob: randomBytes(2 * 1024 ** 2).toString('base64') });
    expect((await refusal({ ref: 'large' })).code).toBe('too-large');
    expect((await refusal({ url: url('/silent/repository.git') }, { timeout: 500 })).code).toBe('timed-out');
    expect(await readdir(data)).toEqual([]);
  });
});
