import { execFile } from 'node:child_process';
import { access, mkdir, realpath, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

import {
  type BuildPhase,
  type BuildPlan,
  explainFailure,
  findProgram,
  type Language,
  languages,
  nameOfStep,
  neededBy,
  planBuild,
  type SourceTree,
  startArgv,
} from '#builds';
import { CestxError, type Artifact } from '#contracts';
import { inSpan } from '#storage';

import type { Builder, BuildLimits, BuildRequest, Component, PreparedBuild } from './builder.ts';
import { contentOf } from '../content-key.ts';
import { digestOf } from '../archive/pack-source.ts';
import { BuildSandbox, reachableByNobody } from './build-sandbox.ts';
import { DiskLimit } from './disk-limit.ts';
import { componentsInFolder } from './read-components.ts';
import { readCaFile } from './read-ca-file.ts';

export interface ProcessBuilderOptions {
  /** The data folder of the house. */
  data: string;
  limits: BuildLimits;
  /** The search path, to find npm, python3 and go. */
  path: string;
  caFile?: string | undefined;
  /** Variables that say how the network is reached: `HTTP_PROXY` and the like. */
  proxy?: Readonly<Record<string, string>>;
}

/** Lines looked at to say why a step failed, and those of them that are handed on. */
const keptLines = 200;
const lastLineCount = 20;
const systemPath = ['/usr/local/bin', '/usr/bin', '/bin'];

/**
 * Builds folders that run without a container, as the user `nobody` when we are root.
 * 1. A folder is built where it will lie: a virtual environment of Python holds its own absolute path.
 * 2. So a folder with the name of a build may be half-made; only the build's row says that it is whole.
 */
export class ProcessBuilder implements Builder {
  readonly driver = 'process';
  readonly #options: ProcessBuilderOptions;
  readonly #folder: string;

  constructor(options: ProcessBuilderOptions) {
    this.#options = options;
    this.#folder = resolve(options.data, 'builds');
  }

  async prepare(request: BuildRequest): Promise<PreparedBuild> {
    const language = languageOf(request);
    const { handler, args } = request.settings;
    const plan = planBuild(language, {
      source: request.source,
      functionName: request.functionName,
      handler,
      args,
    });
    const program = await findProgram(language, this.#options.path, reachableByNobody);
    const { source, ...rest } = plan;
    const content = contentOf([request.sourceDigest, rest, digestOf(source), await versionOf(program)]);
    return { content, run: () => this.#build(request, plan, program) };
  }

  async #build(request: BuildRequest, plan: BuildPlan, program: string): Promise<Artifact> {
    const { language } = plan;
    const path = join(this.#folder, request.buildId);
    try {
      const programs = [...new Set([dirname(process.execPath), dirname(program), ...systemPath])];
      await this.#run(request, plan, { path, program, programs });
      const interpreter = language === 'node' ? process.execPath : await interpreterOf(language, program);
      return { kind: 'directory', path, command: startArgv(plan, path, { interpreter, programs }) };
    } catch (error) {
      await rm(path, { recursive: true, force: true });
      throw error;
    }
  }

  async exists(artifact: Artifact): Promise<boolean> {
    if (artifact.kind !== 'directory') return false;
    // A folder of an earlier life may name a Node.js or a Python that is no longer there.
    const needed = [artifact.path, ...neededBy(artifact.command)];
    const found = await Promise.allSettled(needed.map((path) => access(path)));
    return found.every((result) => result.status === 'fulfilled');
  }

  async components(artifact: Artifact): Promise<readonly Component[]> {
    return artifact.kind === 'directory' ? await componentsInFolder(artifact.path) : [];
  }

  async remove(artifact: Artifact): Promise<void> {
    // Never anything but a build of ours, whatever a row says.
    if (artifact.kind !== 'directory' || dirname(artifact.path) !== this.#folder) return;
    await rm(artifact.path, { recursive: true, force: true });
  }

  async clear(buildId: string, keep: Artifact | null): Promise<void> {
    const path = join(this.#folder, buildId);
    await BuildSandbox.clear(buildId);
    if (keep?.kind === 'directory' && keep.path === path) return;
    await rm(path, { recursive: true, force: true });
  }

  async clearCache(project: string): Promise<void> {
    await rm(this.#cacheOf(project), { recursive: true, force: true });
  }

  diskUse(): Promise<number> {
    return bytesIn([this.#folder]);
  }

  async trimCaches(projects: readonly string[], budget: number): Promise<void> {
    const caches = await Promise.all(
      projects.map(async (project) => {
        const about = await stat(this.#cacheOf(project)).catch(() => null);
        return { project, usedAt: about?.mtimeMs ?? 0 };
      }),
    );
    for (const { project } of caches.toSorted((a, b) => a.usedAt - b.usedAt)) {
      if ((await this.diskUse()) <= budget) return;
      await this.clearCache(project);
    }
  }

  #cacheOf(project: string): string {
    return join(this.#folder, '.cache', project);
  }

  async #run(
    request: BuildRequest,
    plan: BuildPlan,
    { path, program, programs }: { path: string; program: string; programs: string[] },
  ): Promise<void> {
    const cache = this.#cacheOf(request.project);
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: 0o755 });
    await mkdir(cache, { recursive: true, mode: 0o755 });
    await utimes(cache, new Date(), new Date());
    const sandbox = await BuildSandbox.open(this.#options.limits, [path, process.execPath, program]);
    if (sandbox.warning !== null) request.log(sandbox.warning);
    for (const note of plan.notes) request.log(note);
    await inSpan('build unpack', {}, async () => {
      await writeTree(plan.source, path);
      await sandbox.handOver(path);
      await sandbox.handOver(cache);
    });
    const environment = {
      ...this.#options.proxy,
      ...plan.buildEnvironment,
      HOME: cache,
      PATH: [...plan.path.map((folder) => join(path, folder)), ...programs].join(delimiter),
      LANG: 'C.UTF-8',
      ...(await this.#trust()),
    };
    const before = await bytesIn([cache]);
    const limit = this.#options.limits.disk;
    const disk = new DiskLimit(limit, async () => (await bytesIn([path, cache])) - before);
    const signal = AbortSignal.any([request.signal, disk.signal]);
    try {
      for (const phase of plan.phases) {
        const variables = { ...environment, ...cacheVariables(phase, cache) };
        for (const argv of phase.commands) {
          await runStep(argv, {
            sandbox,
            cwd: path,
            environment: variables,
            request: { ...request, signal },
          });
        }
      }
    } finally {
      await disk.stop();
    }
    await sandbox.seal(path);
  }

  /** How the programs of each language are told which certificates to trust. */
  async #trust(): Promise<Record<string, string>> {
    const { caFile } = this.#options;
    if (caFile === undefined) return {};
    const copy = join(this.#folder, '.cache', 'ca.pem');
    // A copy, because the user of the build may not be able to read the original.
    await writeFile(copy, await readCaFile(caFile), { mode: 0o644 });
    return {
      NODE_EXTRA_CA_CERTS: copy,
      PIP_CERT: copy,
      REQUESTS_CA_BUNDLE: copy,
      SSL_CERT_FILE: copy,
      GIT_SSL_CAINFO: copy,
    };
  }
}

function languageOf({ template }: BuildRequest): Language {
  const language = languages.find((name) => name === template);
  if (language !== undefined) return language;
  throw new CestxError(
    'build-failed',
    `The template ${template} needs a container engine, and this house runs plain processes; start an engine, or use one of the templates ${languages.join(', ')}.`,
  );
}

/** A program that is replaced by another version has another size or another time. */
async function versionOf(program: string): Promise<unknown> {
  const path = await realpath(program);
  const { size, mtimeMs } = await stat(path);
  return [path, size, mtimeMs];
}

/** What folders take up on the disk. */
async function bytesIn(folders: readonly string[]): Promise<number> {
  // Files that go while it counts are no failure.
  const { stdout } = await promisify(execFile)('du', ['-s', '-c', '--block-size=1', '--', ...folders]).catch(
    (error: unknown) => ({ stdout: error instanceof Error && 'stdout' in error ? String(error.stdout) : '' }),
  );
  return Number(/^(\d+)\ttotal$/m.exec(stdout)?.[1] ?? 0);
}

/** A compiled program needs none. */
async function interpreterOf(language: Language, program: string): Promise<string> {
  return language === 'python' ? await realpath(program) : '/bin/sh';
}

function cacheVariables(phase: BuildPhase, cache: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(phase.caches).map(([name, folder]) => [name, join(cache, folder)]),
  );
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

async function runStep(
  argv: readonly string[],
  how: { sandbox: BuildSandbox; cwd: string; environment: Record<string, string>; request: BuildRequest },
): Promise<void> {
  const { sandbox, cwd, environment, request } = how;
  const step = nameOfStep(argv);
  const lines: string[] = [];
  const log = (line: string) => {
    lines.push(line);
    if (lines.length > keptLines) lines.shift();
    request.log(line);
  };
  await inSpan(`build ${step}`, {}, async () => {
    request.log(`$ ${argv.join(' ')}`);
    const exit = await sandbox.run(request.buildId, argv, { cwd, environment, log, signal: request.signal });
    if (exit === null) return;
    const reason = explainFailure(step, [...lines, exit], exit);
    throw new CestxError('build-failed', reason, { lastLines: lines.slice(-lastLineCount) });
  });
}
