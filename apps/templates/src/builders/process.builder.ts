import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';

import { CestxError, type Artifact } from '#contracts';
import { inSpan } from '#storage';

import { withoutFolder, type SourceTree } from '../archive/source-tree.ts';
import { explainFailure } from '../explain-failure.ts';
import { planNodeBuild } from '../plan-node-build.ts';
import { type Builder, type BuildLimits, type BuildRequest, type Component } from './builder.ts';
import { BuildSandbox } from './build-sandbox.ts';
import { readCaFile } from './read-ca-file.ts';
import { startArgv } from './start-argv.ts';

export interface ProcessBuilderOptions {
  /** The data folder of the house. */
  data: string;
  limits: BuildLimits;
  /** The search path, to find npm. */
  path: string;
  caFile?: string | undefined;
}

/** Lines looked at to say why a step failed, and those of them that are handed on. */
const keptLines = 200;
const lastLineCount = 20;

/**
 * Builds folders that run without a container, as the user `nobody` when we are root. A build grows in `<id>.partial` and
 * takes its name when it is complete, so a folder with the name of a build is always whole.
 */
export class ProcessBuilder implements Builder {
  readonly driver = 'process';
  readonly #options: ProcessBuilderOptions;
  readonly #folder: string;

  constructor(options: ProcessBuilderOptions) {
    this.#options = options;
    this.#folder = resolve(options.data, 'builds');
  }

  async build(request: BuildRequest): Promise<Artifact> {
    if (request.template !== 'node') {
      throw new CestxError(
        'build-failed',
        'A Dockerfile needs a container engine, and this house runs plain processes; start an engine, or use the node template.',
      );
    }
    const source = withoutFolder(request.source, 'node_modules');
    const plan = planNodeBuild(source);
    const path = join(this.#folder, request.buildId);
    const partial = `${path}.partial`;
    const cache = this.#cacheOf(request.project);
    try {
      await rm(partial, { recursive: true, force: true });
      await mkdir(partial, { recursive: true, mode: 0o755 });
      await mkdir(cache, { recursive: true, mode: 0o755 });
      const npm = await findNpm(this.#options.path);
      const sandbox = await BuildSandbox.open(this.#options.limits, [partial, process.execPath, npm]);
      if (sandbox.warning !== null) request.log(sandbox.warning);
      await inSpan('build unpack', {}, async () => {
        await writeTree(source, partial);
        await sandbox.handOver(partial);
        await sandbox.handOver(cache);
      });
      const environment = await this.#environment(cache);
      for (const args of [plan.install, ...plan.build]) {
        await runNpm([npm, ...args], { sandbox, cwd: partial, environment, request });
      }
      await sandbox.seal(partial);
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
    return { kind: 'directory', path, command: startArgv(plan.start, path, process.execPath) };
  }

  async exists(artifact: Artifact): Promise<boolean> {
    if (artifact.kind !== 'directory') return false;
    // A folder of an earlier life may name a Node.js that is no longer there.
    const needed = [artifact.path, artifact.command[0] ?? ''];
    const found = await Promise.allSettled(needed.map((path) => access(path)));
    return found.every((result) => result.status === 'fulfilled');
  }

  components(): Promise<readonly Component[]> {
    return Promise.resolve([]);
  }

  async remove(artifact: Artifact): Promise<void> {
    // Never anything but a build of ours, whatever a row says.
    if (artifact.kind !== 'directory' || dirname(artifact.path) !== this.#folder) return;
    await rm(artifact.path, { recursive: true, force: true });
  }

  async clear(buildId: string, keep: Artifact | null): Promise<void> {
    const path = join(this.#folder, buildId);
    await BuildSandbox.clear(buildId);
    await rm(`${path}.partial`, { recursive: true, force: true });
    if (keep?.kind === 'directory' && keep.path === path) return;
    await rm(path, { recursive: true, force: true });
  }

  async clearCache(project: string): Promise<void> {
    await rm(this.#cacheOf(project), { recursive: true, force: true });
  }

  #cacheOf(project: string): string {
    return join(this.#folder, '.cache', project);
  }

  async #environment(cache: string): Promise<Record<string, string>> {
    const { caFile } = this.#options;
    const ca = join(this.#folder, '.cache', 'ca.pem');
    // A copy, because the user of the build may not be able to read the original.
    if (caFile !== undefined) await writeFile(ca, await readCaFile(caFile), { mode: 0o644 });
    return {
      HOME: cache,
      PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
      LANG: 'C.UTF-8',
      npm_config_cache: join(cache, 'npm'),
      npm_config_update_notifier: 'false',
      ...(caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: ca }),
    };
  }
}

async function writeTree(tree: SourceTree, target: string): Promise<void> {
  for (const folder of tree.folders) await mkdir(join(target, folder), { recursive: true });
  const made = new Set([target]);
  for (const file of tree.files) {
    const path = join(target, file.path);
    const folder = dirname(path);
    if (!made.has(folder)) await mkdir(folder, { recursive: true });
    made.add(folder);
    await writeFile(path, file.content, { mode: file.executable ? 0o755 : 0o644, flag: 'wx' });
  }
}

async function runNpm(
  argv: string[],
  how: { sandbox: BuildSandbox; cwd: string; environment: Record<string, string>; request: BuildRequest },
): Promise<void> {
  const { sandbox, cwd, environment, request } = how;
  const step = `npm ${argv
    .slice(1)
    .filter((arg) => !arg.startsWith('-'))
    .join(' ')}`;
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
    request.log(line);
  };
  await inSpan(`build ${step}`, {}, async () => {
    request.log(`$ npm ${argv.slice(1).join(' ')}`);
    const exit = await sandbox.run(request.buildId, argv, { cwd, environment, log, signal: request.signal });
    if (exit === null) return;
    const reason = explainFailure(step, [...lines, exit], exit);
    throw new CestxError('build-failed', reason, { lastLines: lines.slice(-lastLineCount) });
  });
}

async function findNpm(path: string): Promise<string> {
  const folders = [dirname(process.execPath), ...path.split(delimiter), '/usr/local/bin', '/usr/bin'];
  for (const folder of folders.filter((one) => one.startsWith('/') && !one.endsWith('node_modules/.bin'))) {
    const names = await readdir(folder).catch((): string[] => []);
    if (names.includes('npm')) return join(folder, 'npm');
  }
  throw new CestxError(
    'build-failed',
    'npm is not installed on this machine, and builds without containers need it.',
  );
}
