import { dirname } from 'node:path/posix';
import { Readable } from 'node:stream';

import Docker, { type ImageBuildOptions } from 'dockerode';

import type { Language } from '#builds';
import { CestxError, type Artifact } from '#contracts';
import { inSpan } from '#storage';

import { digestOf, packSource } from '../archive/pack-source.ts';
import { contentOf } from '../content-key.ts';
import { BaseImages } from './base-images.ts';
import { type BuildContext, buildLabel, makeContext } from './build-context.ts';
import type { Builder, BuildLimits, BuildRequest, Component, PreparedBuild } from './builder.ts';
import { DiskLimit } from './disk-limit.ts';
import { EngineCgroup } from './engine-cgroup.ts';
import { EngineDiskUse } from './engine-disk-use.ts';
import { sortComponents } from './find-components.ts';
import { componentsInTar } from './read-components.ts';
import { readProgress } from './read-progress.ts';
import { cacheLabel } from './write-dockerfile.ts';

export interface DockerBuilderOptions {
  /** An engine's address as `DOCKER_HOST` writes it. */
  host: string;
  limits: BuildLimits;
  /** The base of a language's images; else our own where it was made, else the public one. */
  images?: Partial<Record<Language, string | undefined>>;
  caFile?: string | undefined;
  /** Variables that say how the network is reached: `HTTP_PROXY` and the like. */
  proxy?: Readonly<Record<string, string>>;
}

/** Of the distributions that images are mostly made of. */
const databases = ['/var/lib/dpkg/status', '/lib/apk/db/installed'];
/** Of containers that never run; one that is old was left by a platform that was killed. */
const lookLabel = 'cestx.looked-into';
const oldAfterSeconds = 600;
const periodUs = 100_000;
/** Images removed before it is measured again, for which the engine looks at all it has. */
const trimmedAtOnce = 10;

/** Builds images with the engine's own builder; each is pinned by its id and carries the labels of its build. */
export class DockerBuilder implements Builder {
  readonly driver = 'docker';
  readonly #docker: Docker;
  readonly #options: DockerBuilderOptions;
  readonly #baseImages: BaseImages;
  #cgroupDriver: string | undefined;

  constructor(options: DockerBuilderOptions) {
    this.#options = options;
    this.#docker = connectToEngine(options.host);
    this.#baseImages = new BaseImages(this.#docker, options.images ?? {});
  }

  async prepare(request: BuildRequest): Promise<PreparedBuild> {
    const { caFile } = this.#options;
    const context = await makeContext(request, { images: this.#baseImages, caFile }).catch(
      (error: unknown) => {
        request.signal.throwIfAborted();
        throw asBuildError(error);
      },
    );
    const { tree, dockerfile, args, baseIds } = context;
    const content = contentOf([request.sourceDigest, digestOf(tree), dockerfile, args, baseIds]);
    return { content, run: () => this.#build(request, context) };
  }

  async #build(request: BuildRequest, context: BuildContext): Promise<Artifact> {
    const use = new EngineDiskUse(this.#docker, context.baseIds);
    const disk = new DiskLimit(this.#options.limits.disk, use.measure);
    const signal = AbortSignal.any([request.signal, disk.signal]);
    const log = (line: string) => {
      use.line(line);
      request.log(line);
    };
    const group = await this.#group(request.buildId);
    return await inSpan('build docker build', {}, async (): Promise<Artifact> => {
      try {
        const image = await this.#run({ ...request, log, signal }, context, group?.path);
        return { kind: 'image', image: await this.#verify(image, request.buildId) };
      } catch (error) {
        await this.clear(request.buildId, null).catch(() => undefined);
        signal.throwIfAborted();
        throw asBuildError(error);
      } finally {
        await disk.stop();
        await group?.remove();
      }
    });
  }

  /** The engine's builder limits all but the number of processes; a group above its containers does, where we may make one. */
  async #group(buildId: string): Promise<EngineCgroup | null> {
    if (!this.#options.host.startsWith('unix://')) return null;
    this.#cgroupDriver ??= (await ask(this.#docker.info() as Promise<{ CgroupDriver?: string }>))
      ?.CgroupDriver;
    return this.#cgroupDriver === 'cgroupfs' ? await EngineCgroup.create(buildId) : null;
  }

  async exists(artifact: Artifact): Promise<boolean> {
    if (artifact.kind !== 'image') return false;
    return (await ask(this.#docker.getImage(artifact.image).inspect())) !== null;
  }

  /** Looks into the image without running it. */
  async components(artifact: Artifact): Promise<readonly Component[]> {
    if (artifact.kind !== 'image') return [];
    const filters = { label: [`${lookLabel}=true`] };
    for (const { Id, Created } of (await ask(this.#docker.listContainers({ all: true, filters }))) ?? []) {
      if (Created < Date.now() / 1000 - oldAfterSeconds) await this.#docker.getContainer(Id).remove();
    }
    const container = await this.#docker.createContainer({
      Image: artifact.image,
      Cmd: ['none'],
      Labels: { [lookLabel]: 'true' },
    });
    try {
      const { Config } = await container.inspect();
      const found: Component[] = [];
      for (const path of [...databases, Config.WorkingDir].filter((place) => place && place !== '/')) {
        const archive = await ask(container.getArchive({ path }));
        if (archive) found.push(...(await componentsInTar(archive as Readable, dirname(path))));
      }
      return sortComponents(found);
    } finally {
      await container.remove({ force: true });
    }
  }

  async remove(artifact: Artifact): Promise<void> {
    if (artifact.kind === 'image') await this.#removeImage(artifact.image);
  }

  async clear(buildId: string, keep: Artifact | null): Promise<void> {
    const images = await ask(this.#docker.listImages({ filters: { label: [`${buildLabel}=${buildId}`] } }));
    await EngineCgroup.clear(buildId);
    for (const image of images ?? []) {
      if (keep?.kind !== 'image' || keep.image !== image.Id) await this.#removeImage(image.Id);
    }
  }

  async clearCache(project: string): Promise<void> {
    const label = [`${cacheLabel}=${project}`];
    await ask(this.#docker.pruneImages({ filters: { dangling: ['true'], label } }));
  }

  async diskUse(): Promise<number> {
    const { LayersSize } = (await ask(this.#docker.df())) as { LayersSize: number };
    return LayersSize;
  }

  async trimCaches(projects: readonly string[], budget: number): Promise<void> {
    const kept = new Set<string>();
    // Only what nothing else rests on can go; what it rested on may then be the next.
    for (;;) {
      const found = await ask(
        this.#docker.listImages({ filters: { dangling: ['true'], label: [cacheLabel] } }),
      );
      const candidates = (found ?? [])
        .filter(({ Id, Labels }) => !kept.has(Id) && projects.includes(Labels?.[cacheLabel] ?? ''))
        .toSorted((a, b) => a.Created - b.Created);
      if (candidates.length === 0 || (await this.diskUse()) <= budget) return;
      for (const { Id } of candidates.slice(0, trimmedAtOnce)) {
        kept.add(Id);
        // One that a container still uses stays.
        await this.#docker
          .getImage(Id)
          .remove()
          .catch(() => undefined);
      }
    }
  }

  async #removeImage(id: string): Promise<void> {
    await ask(this.#docker.getImage(id).remove({ force: true }));
  }

  /** Runs the build to its end and returns the id of the image. */
  async #run(
    request: BuildRequest,
    { tree, dockerfile, args }: BuildContext,
    cgroup: string | undefined,
  ): Promise<string> {
    const { limits, proxy } = this.#options;
    const { memory, cpu } = limits;
    const options: ImageBuildOptions = {
      dockerfile,
      // The engine knows the names of a proxy's settings, and leaves them out of layers and history.
      buildargs: { ...proxy, ...args },
      t: `cestx-build:${request.buildId}`,
      // The engine takes a step, and with it a container, for each.
      labels: { [buildLabel]: request.buildId },
      rm: true,
      forcerm: true,
      memory,
      memswap: memory,
      cpuperiod: periodUs,
      cpuquota: Math.round(cpu * periodUs),
      networkmode: 'bridge',
      ...(cgroup === undefined ? {} : { cgroupparent: cgroup }),
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
  if (/no space left on device/i.test(message)) {
    return new CestxError(
      'build-failed',
      'The disk of the container engine is full; make room (docker system prune) and deploy again.',
      { detail: message, cause: error },
    );
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
