import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface GitServer {
  /** Host and port on loopback. */
  readonly host: string;
  /** Makes a commit on a branch and answers its hash. */
  commit(branch: string, files: Record<string, string>, links?: Record<string, string>): Promise<string>;
  tag(name: string): void;
  stop(): Promise<void>;
}

/**
 * A real git server: `git http-backend` behind HTTP, with one repository `/repository.git`. `/elsewhere` redirects to it,
 * `/silent` never answers.
 */
export async function startGitServer(): Promise<GitServer> {
  const root = await mkdtemp(join(tmpdir(), 'cestx-git-server-'));
  const repository = join(root, 'repository.git');
  const work = join(root, 'work');
  const git = (...args: string[]) =>
    execFileSync(
      'git',
      ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main', ...args],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { PATH: process.env['PATH'], HOME: root, GIT_CONFIG_NOSYSTEM: '1' },
      },
    )
      .toString()
      .trim();
  git('init', '--quiet', '--bare', repository);
  git('-C', repository, 'config', 'uploadpack.allowReachableSHA1InWant', 'true');
  git('clone', '--quiet', repository, work);
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/silent')) return;
    if (request.url?.startsWith('/elsewhere')) {
      response.writeHead(302, { location: request.url.replace('/elsewhere', '') }).end();
      return;
    }
    answer(root, request, response);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async commit(branch, files, links = {}) {
      git('-C', work, 'checkout', '--quiet', '-B', branch);
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(work, path)), { recursive: true });
        await writeFile(join(work, path), text);
      }
      for (const [path, target] of Object.entries(links)) await symlink(target, join(work, path));
      git('-C', work, 'add', '--all');
      git('-C', work, 'commit', '--quiet', '--allow-empty', '--message', 'x');
      git('-C', work, 'push', '--quiet', '--force', 'origin', branch);
      return git('-C', work, 'rev-parse', 'HEAD');
    },
    tag(name) {
      git('-C', work, 'tag', name);
      git('-C', work, 'push', '--quiet', 'origin', name);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** One request through `git http-backend`, by CGI (RFC 3875). */
function answer(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://x');
  const backend = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: request.headers['git-protocol'] as string | undefined,
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
    },
  });
  request.pipe(backend.stdin).on('error', () => undefined);
  const chunks: Buffer[] = [];
  backend.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  backend.once('close', () => {
    const output = Buffer.concat(chunks);
    const split = output.indexOf('\r\n\r\n');
    const headers = output.subarray(0, split).toString().split('\r\n');
    const fields = headers.map((line) => line.split(': ', 2) as [string, string]);
    const status = Number(fields.find(([name]) => name === 'Status')?.[1].split(' ')[0] ?? 200);
    response.writeHead(status, Object.fromEntries(fields.filter(([name]) => name !== 'Status')));
    response.end(output.subarray(split + 4));
  });
}
