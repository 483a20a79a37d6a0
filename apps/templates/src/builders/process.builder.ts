import { access, chmod, chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

import { SpanStatusCode, trace } from '@opentelemetry/api';

import { CestxError, type Artifact } from '#contracts';

import { withoutFolder, type SourceTree } from '../archive/source-tree.ts';
import { explainFailure } from '../explain-failure.ts';
import { planNodeBuild } from '../plan-node-build.ts';
import { type Builder, type BuildLimits, type BuildRequest } from './builder.ts';
import { BuildSandbox } from './build-sandbox.ts';
import { startArgv } from './start-argv.ts';

export interface ProcessBuilderOptions {
  /** The data folder of the house. */
  data: string;
  limits: BuildLimits;
  /** The search path, to find npm. */
  path: string;
  caFile?: string | undefined;
}

const lastLineCount = 20;

/**
 * Builds folders that run without a container, as the user `nobody` when we are root. A build grows in `<id>.partial` and
 * takes its name when it is complete, so a folder with the name of a build is always whole.
 */
export class ProcessBuilder implements Builder {
  readonly driver = 'process';
  readonly #options: ProcessBuilderOptions;
  readonly #sandbox: BuildSandbox;
  readonly #folder: string;

  constructor(options: ProcessBuilderOptions) {
    this.#options = options;
    this.#sandbox = new BuildSandbox(options.limits);
    this.#folder = join(options.data, 'builds');
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
    try {
      await span('unpack', () => this.#unpack(source, partial));
      const cache = join(this.#folder, '.cache', request.project);
      await this.#openFolder(cache);
      await this.#sandbox.checkReach([partial, process.execPath]);
      await this.#npm(plan.install, partial, cache, request);
      for (const step of plan.build) await this.#npm(step, partial, cache, request);
      await this.#sandbox.seal(partial);
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

  async remove(artifact: Artifact): Promise<void> {
    // Never anything but a build of ours, whatever a row says.
    if (artifact.kind !== 'directory' || dirname(artifact.path) !== this.#folder) return;
    await rm(artifact.path, { recursive: true, force: true });
  }

  async clear(buildId: string, keep: Artifact | null): Promise<void> {
    const path = join(this.#folder, buildId);
    await this.#sandbox.clear(buildId);
    await rm(`${path}.partial`, { recursive: true, force: true });
    if (keep?.kind === 'directory' && keep.path === path) return;
    await rm(path, { recursive: true, force: true });
  }

  async #unpack(source: SourceTree, target: string): Promise<void> {
    await rm(target, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true });
    await this.#openFolder(target);
    const made = new Set<string>();
    const make = async (folder: string) => {
      if (made.has(folder)) return;
      await mkdir(folder, { recursive: true });
      made.add(folder);
    };
    for (const folder of source.folders) await make(join(target, folder));
    for (const file of source.files) {
      const path = join(target, file.path);
      await make(dirname(path));
      await writeFile(path, file.content, { mode: file.executable ? 0o755 : 0o644, flag: 'wx' });
    }
    await this.#sandbox.handOver(target);
  }

  /** A folder the build's user may write to. */
  async #openFolder(folder: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    const { user } = this.#sandbox;
    if (user) await chown(folder, user.uid, user.gid);
  }

  async #npm(args: string[], folder: string, cache: string, request: BuildRequest): Promise<void> {
    const step = `npm ${args.filter((arg) => !arg.startsWith('-')).join(' ')}`;
    await span(step, async () => {
      const npm = await findNpm(this.#options.path);
      const lines: string[] = [];
      const log = (line: string) => {
        lines.push(line);
        if (lines.length > 200) lines.shift();
        request.log(line);
      };
      request.log(`$ npm ${args.join(' ')}`);
      const exit = await this.#sandbox.run(request.buildId, [npm, ...args], {
        cwd: folder,
        environment: this.#environment(cache),
        log,
        signal: request.signal,
      });
      if (exit === null) return;
      const lastLines = lines.slice(-lastLineCount);
      throw new CestxError('build-failed', explainFailure(step, [...lines, exit], exit), { lastLines });
    });
  }

  #environment(cache: string): Record<string, string> {
    const { caFile } = this.#options;
    return {
      HOME: cache,
      // npm itself may be a script that looks for `node`.
      PATH: [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter),
      LANG: 'C.UTF-8',
      npm_config_cache: join(cache, 'npm'),
      npm_config_update_notifier: 'false',
      ...(caFile ? { NODE_EXTRA_CA_CERTS: caFile } : {}),
    };
  }
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

async function span(name: string, work: () => Promise<void>): Promise<void> {
  await trace.getTracer('cestx').startActiveSpan(`build ${name}`, async (active) => {
    try {
      await work();
    } catch (error) {
      active.setStatus({
        code: SpanStatusCode.ERROR,
        message: error instanceof Error ? error.message : String(error),
      });
      throw error;
    } finally {
      active.end();
    }
  });
}
