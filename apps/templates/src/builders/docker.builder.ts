import { Readable } from 'node:stream';

import Docker, { type ImageBuildOptions } from 'dockerode';

import { type Language, languages, planBuild, type SourceFile, type SourceTree } from '#builds';
import { CestxError, type Artifact } from '#contracts';
import { inSpan } from '#storage';

import { digestOf, packSource } from '../archive/pack-source.ts';
import { contentOf } from '../content-key.ts';
import { BaseImages } from './base-images.ts';
import type { Builder, BuildLimits, BuildRequest, Component, PreparedBuild } from './builder.ts';
import { readProgress } from './read-progress.ts';
import { readCaFile } from './read-ca-file.ts';
import { cacheLabel, contextPaths, writeDockerfile } from './write-dockerfile.ts';

export interface DockerBuilderOptions {
  /** An engine's address as `DOCKER_HOST` writes it. */
  host: string;
  limits: BuildLimits;
  /** The base of a language's images; else our own where it was made, else the public one. */
  images?: Partial<Record<Language, string | undefined>>;
  caFile?: string | undefined;
}

const buildLabel = 'cestx.build';
const sourceLabel = 'cestx.source';
const periodUs = 100_000;

/** What the engine is given to build. */
interface Context {
  readonly tree: SourceTree;
  readonly dockerfile: string;
  readonly args: Readonly<Record<string, string>>;
  /** The images it starts from, as they are now. */
  readonly baseIds: readonly string[];
}

/** Builds images with the engine's own builder; each is pinned by its id and carries the labels of its build. */
export class DockerBuilder implements Builder {
  readonly driver = 'docker';
  readonly #docker: Docker;
  readonly #options: DockerBuilderOptions;
  readonly #baseImages: BaseImages;

  constructor(options: DockerBuilderOptions) {
    this.#options = options;
    this.#docker = connectToEngine(options.host);
    this.#baseImages = new BaseImages(this.#docker, options.images ?? {});
  }

  async prepare(request: BuildRequest): Promise<PreparedBuild> {
    const context = await this.#context(request).catch((error: unknown) => {
      request.signal.throwIfAborted();
      throw asBuildError(error);
    });
    const { tree, dockerfile, args, baseIds } = context;
    const content = contentOf([request.sourceDigest, digestOf(tree), dockerfile, args, baseIds]);
    return { content, run: () => this.#build(request, context) };
  }

  async #build(request: BuildRequest, context: Context): Promise<Artifact> {
    return await inSpan('build docker build', {}, async (): Promise<Artifact> => {
      try {
        return {
          kind: 'image',
          image: await this.#verify(await this.#run(request, context), request.buildId),
        };
      } catch (error) {
        await this.clear(request.buildId, null).catch(() => undefined);
        request.signal.throwIfAborted();
        throw asBuildError(error);
      }
    });
  }

  async exists(artifact: Artifact): Promise<boolean> {
    if (artifact.kind !== 'image') return false;
    return (await ask(this.#docker.getImage(artifact.image).inspect())) !== null;
  }

  components(): Promise<readonly Component[]> {
    return Promise.resolve([]);
  }

  async remove(artifact: Artifact): Promise<void> {
    if (artifact.kind === 'image') await this.#removeImage(artifact.image);
  }

  async clear(buildId: string, keep: Artifact | null): Promise<void> {
    const images = await ask(this.#docker.listImages({ filters: { label: [`${buildLabel}=${buildId}`] } }));
    for (const image of images ?? []) {
      if (keep?.kind !== 'image' || keep.image !== image.Id) await this.#removeImage(image.Id);
    }
  }

  async clearCache(project: string): Promise<void> {
    const label = [`${cacheLabel}=${project}`];
    await ask(this.#docker.pruneImages({ filters: { dangling: ['true'], label } }));
  }

  async #removeImage(id: string): Promise<void> {
    await ask(this.#docker.getImage(id).remove({ force: true }));
  }

  async #context(request: BuildRequest): Promise<Context> {
    const { handler, args } = request.settings;
    const language = languages.find((name) => name === request.template);
    if (language === undefined) {
      if (handler !== undefined) {
        throw new CestxError(
          'bad-request',
          '"handler" in function.yaml is for the templates of languages; a Dockerfile says itself what it starts.',
        );
      }
      return { tree: request.source, dockerfile: request.dockerfile ?? 'Dockerfile', args, baseIds: [] };
    }
    const { source, functionName, project } = request;
    const plan = planBuild(language, { source, functionName, handler, args });
    for (const note of plan.notes) request.log(note);
    const { caFile } = this.#options;
    const images = await this.#baseImages.of(language);
    const bases = await Promise.all(
      [images.build, images.run].map((name) => this.#baseImages.get(name, request)),
    );
    const text = writeDockerfile(plan, { images, project, withCa: caFile !== undefined });
    const inSource = (path: string) => `${contextPaths.source}/${path}`;
    const files: SourceFile[] = plan.source.files.map((file) => ({ ...file, path: inSource(file.path) }));
    files.push({ path: contextPaths.dockerfile, executable: false, content: Buffer.from(text) });
    if (caFile !== undefined) {
      files.push({ path: contextPaths.ca, executable: false, content: await readCaFile(caFile) });
    }
    return {
      tree: { folders: plan.source.folders.map(inSource), files },
      dockerfile: contextPaths.dockerfile,
      // A plan has its arguments in its phases.
      args: {},
      baseIds: bases.map(({ Id }) => Id),
    };
  }

  /** Runs the build to its end and returns the id of the image. */
  async #run(request: BuildRequest, { tree, dockerfile, args }: Context): Promise<string> {
    const { memory, cpu } = this.#options.limits;
    const options: ImageBuildOptions = {
      dockerfile,
      buildargs: { ...args },
      t: `cestx-build:${request.buildId}`,
      labels: { [buildLabel]: request.buildId, [sourceLabel]: request.sourceDigest },
      rm: true,
      forcerm: true,
      memory,
      memswap: memory,
      cpuperiod: periodUs,
      cpuquota: Math.round(cpu * periodUs),
      networkmode: 'bridge',
      abortSignal: request.signal,
    };
    // Files are as old as their build: programs that tell versions of a file by size and time must see a difference.
    const context = Readable.from(packSource(tree, new Date()), { objectMode: false });
    const stream = await this.#docker.buildImage(context, options);
    const abort = () => (stream as Readable).destroy();
    request.signal.addEventListener('abort', abort, { once: true });
    try {
      return await readProgress(stream as Readable, request.log);
    } finally {
      request.signal.removeEventListener('abort', abort);
    }
  }

  /** A build that says it succeeded counts only when the engine has the very image, with our label. */
  async #verify(id: string, buildId: string): Promise<string> {
    const image = await ask(this.#docker.getImage(id).inspect());
    if (image?.Id === id && image.Config.Labels?.[buildLabel] === buildId) return id;
    throw new CestxError('build-failed', 'The engine reported a finished build, but has no such image.');
  }
}

function asBuildError(error: unknown): unknown {
  if (error instanceof CestxError) return error;
  const status = statusOf(error);
  const message = error instanceof Error ? error.message : String(error);
  // The engine answers 400 to a Dockerfile it cannot read, before anything runs.
  if (status === 400) {
    const reason = message.replace(/^\(HTTP code 400\)\s*(bad parameter\s*-\s*)?/, '').trim();
    return new CestxError('build-failed', `The Dockerfile cannot be built: ${reason}.`, { cause: error });
  }
  return new CestxError('unavailable', 'The container engine does not answer.', {
    retryable: true,
    detail: message,
    cause: error,
  });
}

/** What the engine answers; null when it has no such thing. */
async function ask<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    const status = statusOf(error);
    if (status === 404) return null;
    if (status === 409) {
      throw new CestxError('conflict', 'The image is still used by a container.', {
        retryable: true,
        cause: error,
      });
    }
    throw asBuildError(error);
  }
}

function statusOf(error: unknown): unknown {
  return error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
}

export function connectToEngine(host: string): Docker {
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length) });
  const url = new URL(host);
  return new Docker({ protocol: 'http', host: url.hostname, port: Number(url.port || 2375) });
}
