import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join, resolve as resolvePath } from 'node:path';

import type { SourceTree } from '#builds';
import { CestxError } from '#contracts';

import { defaultLimits } from '../archive/entry-checker.ts';
import { readArchive } from '../archive/read-archive.ts';
import { BuildSandbox } from '../builders/build-sandbox.ts';
import type { BuildLimits } from '../builders/builder.ts';
import {
  isPublicAddress,
  readGitAddress,
  type GitAddress,
  type GitHosts,
  type GitRequest,
} from './git-address.ts';

export interface GitFetcherOptions {
  readonly hosts: GitHosts;
  /** Where repositories lie while they are read. */
  readonly folder: string;
  /** Milliseconds for all of it. */
  readonly timeout: number;
  /** Bytes of what comes over the network. */
  readonly maxBytes: number;
  /** Where programs are looked for. */
  readonly path: string;
  readonly caFile?: string | undefined;
}

const limits: Omit<BuildLimits, 'disk'> = { memory: 1024 ** 3, cpu: 1 };

/**
 * Fetches one commit of a repository and reads its files, with the checks of any archive. Nothing is checked out, so that
 * neither links nor hooks nor filters nor submodules ever come into play; git runs with as little power as a build.
 *
 * 1. The address is resolved here, once, and git may speak to no other one: a name that resolves to another the next time
 *    gets it nowhere. It follows no redirects.
 * 2. Neither the configuration of this host nor anything else of its environment reaches git.
 */
export class GitFetcher {
  readonly #options: GitFetcherOptions;

  constructor(options: GitFetcherOptions) {
    this.#options = { ...options, folder: resolvePath(options.folder) };
  }

  async fetch(request: GitRequest): Promise<{ tree: SourceTree; commit: string }> {
    const { hosts, folder, timeout } = this.#options;
    const address = readGitAddress(request, hosts);
    const pins = await resolve(address);
    const late = AbortSignal.timeout(timeout);
    const id = `git-${randomUUID()}`;
    const repository = join(folder, id);
    try {
      await mkdir(repository, { recursive: true, mode: 0o755 });
      const git = await this.#git(address, pins, { id, repository, signal: late });
      return await this.#read(git, address, repository);
    } catch (error) {
      if (!late.aborted) throw error;
      const seconds = Math.round(timeout / 1000);
      throw new CestxError('timed-out', `git: ${address.url} could not be fetched within ${seconds} s.`, {
        cause: error,
      });
    } finally {
      await rm(repository, { recursive: true, force: true });
    }
  }

  /** What a room that was killed left. */
  async clear(): Promise<void> {
    await rm(this.#options.folder, { recursive: true, force: true });
  }

  async #read(
    git: Git,
    address: GitAddress,
    repository: string,
  ): Promise<{ tree: SourceTree; commit: string }> {
    const { url, ref, folder } = address;
    await git(['init', '--quiet', '--bare', '--template=', '.']);
    const fetch = [
      'fetch',
      '--quiet',
      '--depth=1',
      '--no-tags',
      '--no-recurse-submodules',
      '--no-auto-maintenance',
    ];
    await git([...fetch, '--', url, ref]);
    const [commit = ''] = await git(['rev-parse', '--verify', '--quiet', 'FETCH_HEAD^{commit}']);
    const file = join(repository, 'source.tar');
    // A tree, not a commit: an archive of a commit has a header of its own.
    await git([
      'archive',
      '--format=tar',
      `--output=${file}`,
      folder === '' ? `${commit}^{tree}` : `${commit}:${folder}`,
    ]);
    const tree = await readArchive(createReadStream(file), {
      ...defaultLimits,
      archiveBytes: this.#options.maxBytes,
    });
    if (tree.files.length === 0) throw new CestxError('bad-request', 'git: there are no files in it.');
    return { tree, commit };
  }

  async #git(
    address: GitAddress,
    pins: readonly string[],
    { id, repository, signal }: { id: string; repository: string; signal: AbortSignal },
  ): Promise<Git> {
    const { path, caFile, maxBytes } = this.#options;
    const sandbox = await BuildSandbox.open({ ...limits, disk: 4 * maxBytes }, [repository]);
    await sandbox.handOver(repository);
    const settings = {
      'protocol.allow': 'never',
      [`protocol.${address.protocol}.allow`]: 'always',
      'http.curloptResolve': `${address.host}:${address.port}:${pins.join(',')}`,
      'http.followRedirects': 'false',
      'http.proxy': '',
      'http.lowSpeedLimit': '1000',
      'http.lowSpeedTime': '20',
      'core.hooksPath': '/dev/null',
      'credential.helper': '',
      'fetch.fsckObjects': 'true',
      'gc.auto': '0',
      'safe.directory': '*',
      ...(caFile === undefined ? {} : { 'http.sslCAInfo': caFile }),
    };
    const config = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    // In blocks of 512 bytes, for each file that git writes; the pack that comes over the network is one file.
    const limit = ['/bin/sh', '-c', `ulimit -f ${Math.ceil(maxBytes / 512)}; exec git "$@"`, 'git'];
    return async (args) => {
      const lines: string[] = [];
      const exit = await sandbox.run(id, [...limit, ...config, ...args], {
        cwd: repository,
        environment: environmentOf(repository, path),
        log: (line) => void (lines.length < 200 && lines.push(line)),
        signal,
      });
      if (exit === null) return lines;
      throw explain(address, args[0] ?? '', [...lines, exit].join('\n'), maxBytes);
    };
  }
}

type Git = (args: readonly string[]) => Promise<string[]>;

function environmentOf(home: string, path: string): Record<string, string> {
  return {
    PATH: path,
    HOME: home,
    LANG: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_NO_REPLACE_OBJECTS: '1',
  };
}

/** Every address counts: a name with one private address among public ones is refused. */
async function resolve({ host, mayBePrivate }: GitAddress): Promise<string[]> {
  const name = host.replace(/^\[|\]$/g, '');
  const found = await lookup(name, { all: true }).catch((error: unknown) => {
    throw new CestxError('unavailable', `git: the host ${host} cannot be found.`, { cause: error });
  });
  const addresses = found.map(({ address }) => address);
  if (!mayBePrivate && !addresses.every(isPublicAddress)) {
    throw new CestxError(
      'bad-request',
      `git: the host ${host} is at a private address; who runs this platform may allow it by CESTX_GIT_PRIVATE_HOSTS.`,
    );
  }
  return addresses.map((address) => (isIPv6(address) ? `[${address}]` : address));
}

/** What git says, in words of ours. */
function explain(
  { url, ref, folder }: GitAddress,
  verb: string,
  output: string,
  maxBytes: number,
): CestxError {
  const options = { detail: output.slice(-2000) };
  const refused = (message: string) => new CestxError('bad-request', message, options);
  if (/exec: git: not found|git: not found/.test(output))
    return new CestxError(
      'unavailable',
      'There is no git on the host of the platform; install it there.',
      options,
    );
  if (/File size limit|signal 25|SIGXFSZ/i.test(output)) {
    return new CestxError(
      'too-large',
      `git: the repository is larger than ${maxBytes} bytes at that commit.`,
      options,
    );
  }
  if (verb === 'archive' && folder !== '') return refused(`folder: there is no folder "${folder}" in it.`);
  if (
    /couldn't find remote ref|not our ref|unadvertised object|no such remote ref|FETCH_HEAD/i.test(output)
  ) {
    return refused(
      `ref: there is no branch or tag "${ref}" in ${url}; of a commit the whole hash is needed.`,
    );
  }
  if (/redirect|error: 30\d/i.test(output))
    return refused(`git: ${url} sends to another address; give that one.`);
  if (/Authentication failed|could not read Username|not found|error: 40[134]/i.test(output))
    return refused(`git: there is no repository at ${url} that anybody may read.`);
  if (
    /Could not resolve|Failed to connect|Connection (refused|reset|timed out)|Empty reply|timed out|too slow|error: 5\d\d|early EOF|RPC failed|unexpected disconnect/i.test(
      output,
    )
  )
    return new CestxError('unavailable', `git: ${url} does not answer.`, options);
  if (/SSL|certificate/i.test(output)) {
    return new CestxError(
      'unavailable',
      `git: the certificate of ${url} is not trusted here; CESTX_BUILD_CA_FILE names others to trust.`,
      options,
    );
  }
  return refused(
    `git: ${url} cannot be read: ${output.trim().split('\n').slice(-2)[0]?.slice(0, 300) ?? ''}.`,
  );
}
