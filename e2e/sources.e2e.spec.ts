import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { baseImage, dockerAvailable } from '#testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startGitServer, type GitServer } from '../apps/templates/src/git/git-server.fixture.ts';
import { root } from './harness/child.ts';
import { deployAndWait, removeAndWait } from './harness/deploy.ts';
import { House } from './harness/house.ts';
import { helloSource, packFiles, uniqueName } from './harness/sample-apps.ts';

describe.skipIf(!dockerAvailable())('where a function may come from', { timeout: 180_000 }, () => {
  let house: House;
  let git: GitServer;
  let folder: string;
  const template = uniqueName('greeter');

  beforeAll(async () => {
    git = await startGitServer();
    folder = await mkdtemp(join(tmpdir(), 'cestx-sources-'));
    const environment = { CESTX_GIT_PRIVATE_HOSTS: git.host };
    house = await House.start({ mode: 'all-in-one', driver: 'docker' }, { environment });
  });
  afterAll(async () => {
    await house?.stop();
    await git?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The command line, as somebody at a terminal uses it. */
  async function cestx(...argv: string[]): Promise<{ code: number; output: string }> {
    const entry = join(root, 'dist/apps/cli/src/main.js');
    return await new Promise((resolve) => {
      const env = { ...process.env, CESTX_URL: house.url, CESTX_KEY: house.key };
      execFile(process.execPath, [entry, ...argv], { env, cwd: folder }, (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr }),
      );
    });
  }
  async function write(files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }

  test('a folder of a git repository is deployed, which nobody made for this platform', async () => {
    const name = uniqueName('from-git');
    await git.commit('main', {
      'web/package.json': '{"scripts":{"start":"node index.js"}}',
      'web/index.js': helloSource('git'),
    });
    const address = `http://${git.host}/repository.git`;
    const refused = await cestx('deploy', '--git', address, 'web');
    expect(refused.output).toContain('There is no function.yaml in the source');
    expect(await cestx('deploy', '--git', address, '--ref', 'main', '--name', name, 'web')).toMatchObject({
      code: 0,
    });
    expect((await house.call(`/function/${name}`)).body).toContain('"version":"git"');
    await removeAndWait(house, name);
  });

  test('a template of one’s own builds a source that nothing else fits, and cannot be deleted while it is used', async () => {
    await write({
      'recipe/template.yaml': `name: ${template}\ndetect: [greeting.txt]\nhealth: { path: /well }\n`,
      'recipe/Dockerfile': `FROM ${baseImage}\nCOPY .cestx/serve.js greeting.txt /app/\nCMD ["node", "/app/serve.js"]\n`,
      'recipe/serve.js': `require('node:http').createServer((q, r) => {
        r.statusCode = q.url === '/well' || q.url === '/' ? 200 : 404;
        r.end(require('node:fs').readFileSync('/app/greeting.txt'));
      }).listen(process.env.PORT, '0.0.0.0')`,
      'recipe/sample/greeting.txt': 'sample',
    });
    expect(await cestx('templates', 'create', 'recipe')).toEqual({
      code: 0,
      output: `Checking version 1 of ${template} by a build of its sample\nReady: ${template} version 1\n`,
    });
    const name = uniqueName('greeting');
    const source = await packFiles({ 'function.yaml': `name: ${name}`, 'greeting.txt': 'good day' });
    expect(await deployAndWait(house, source)).toMatchObject({ state: 'live', error: null });
    expect((await house.call(`/function/${name}`)).body).toBe('good day');
    const { items } = await house.client.listRevisions(name);
    expect(items).toMatchObject([{ template, templateVersion: 1 }]);
    const kept = await cestx('templates', 'delete', template);
    expect([kept.code, kept.output]).toEqual([1, expect.stringContaining(`is used by ${name};`)]);
    await removeAndWait(house, name);
    expect(await cestx('templates', 'delete', template)).toMatchObject({ code: 0 });
  });

  test('an image runs as it is, pinned', async () => {
    const name = uniqueName('image');
    const image = await localImage(name);
    try {
      const source = await packFiles({ 'function.yaml': `name: ${name}\nimage: ${image}` });
      expect(await deployAndWait(house, source)).toMatchObject({ state: 'live', error: null });
      expect((await house.call(`/function/${name}`)).body).toContain('"version":"image"');
      await removeAndWait(house, name);
    } finally {
      await docker('image', 'rm', '--force', image);
    }
  });

  async function localImage(name: string): Promise<string> {
    await write({
      'image/Dockerfile': `FROM ${baseImage}\nCOPY index.js /\nCMD ["node", "/index.js"]\n`,
      'image/index.js': helloSource('image'),
    });
    await docker('build', '--quiet', '--tag', `${name}:1`, join(folder, 'image'));
    return `${name}:1`;
  }
  const docker = (...argv: string[]) =>
    new Promise<void>((resolve, reject) =>
      execFile('docker', argv, (error) => (error ? reject(error) : resolve())),
    );
});
