import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import Docker from 'dockerode';
import { z } from 'zod';

import { LineSplitter } from '#builds';
import { CestxError, credentialsFor, parseImageName, type Artifact, type Registry } from '#contracts';

type ImageArtifact = Extract<Artifact, { kind: 'image' }>;

interface Call {
  log: (line: string) => void;
  signal: AbortSignal;
}

const tries = 3;
/** Of images that were built here: another project's are not to be had by their names. */
const buildLabel = 'cestx.build';

const messageSchema = z.object({
  status: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  aux: z.object({ Digest: z.string().optional() }).optional(),
});

/**
 * Images that come from a registry and go to one. What comes is pinned twice: by the digest of its manifest, under which any
 * host can pull the same again, and by its id on the engine, which follows from its content.
 */
export class ImageRegistry {
  readonly #docker: Docker;
  readonly #registry: Registry | null;
  readonly #firstPauseMs: number;

  /** `firstPauseMs` is before the second try; each pause is twice as long as the one before. */
  constructor(docker: Docker, registry: Registry | null, firstPauseMs = 1000) {
    this.#docker = docker;
    this.#registry = registry;
    this.#firstPauseMs = firstPauseMs;
  }

  /** Where built images are pushed, so that other hosts can have them; null when they stay here. */
  get address(): string | null {
    return this.#registry?.address ?? null;
  }

  /** Throws `build-failed` when there is no such image, `unavailable` when its registry does not answer. */
  async pull(image: string, call: Call): Promise<ImageArtifact> {
    const name = parseImageName(image);
    const repository = name.registry === null ? name.repository : `${name.registry}/${name.repository}`;
    const asked = name.digest ? `${repository}@${name.digest}` : `${repository}:${name.tag ?? 'latest'}`;
    const local = name.registry === null && name.digest === null ? await this.#own(asked) : null;
    let digest: string;
    try {
      digest = await this.#patiently(asked, call, () => this.#pullOnce(asked, call), local ? 1 : tries);
    } catch (error) {
      if (!local || call.signal.aborted) throw error;
      call.log(`No registry has ${asked}; the one that lies on this host is used.`);
      return { kind: 'image', image: checked(asked, local).Id };
    }
    const found = checked(asked, await this.#docker.getImage(asked).inspect());
    const pinned = `${repository}@${digest}`;
    if (name.digest !== null && digest !== name.digest) throw notTheSame(asked);
    if (!found.RepoDigests?.some((known) => known.endsWith(`@${digest}`))) throw notTheSame(asked);
    call.log(`Pulled ${pinned}.`);
    return { kind: 'image', image: found.Id, reference: pinned };
  }

  /** Pushes a built image. The registry then says which digest it has, and it is under that one that hosts pull it. */
  async push(
    artifact: ImageArtifact,
    to: { project: string; functionName: string; buildId: string },
    call: Call,
  ): Promise<ImageArtifact> {
    const repository = `${this.#registry?.address}/${to.project}/${to.functionName}`;
    const tagged = `${repository}:${to.buildId}`;
    await this.#docker.getImage(artifact.image).tag({ repo: repository, tag: to.buildId });
    try {
      const digest = await this.#patiently(tagged, call, () => this.#pushOnce(tagged, call));
      call.log(`Pushed ${repository}@${digest}.`);
      return { ...artifact, reference: `${repository}@${digest}` };
    } finally {
      await this.#untag(artifact.image, tagged);
    }
  }

  /** The image keeps the name its build gave it, and a second one would keep it from being removed; the last one would take it along. */
  async #untag(image: string, name: string): Promise<void> {
    const { RepoTags } = await this.#docker.getImage(image).inspect();
    if (RepoTags.length > 1) await this.#docker.getImage(name).remove({ noprune: true });
  }

  /** Removes a pulled image, unless a container uses it or somebody has given it another name. */
  async drop({ image }: ImageArtifact): Promise<void> {
    await this.#docker
      .getImage(image)
      .remove()
      .catch(() => undefined);
  }

  /** An image of the host's own, but for those that were built for some project. */
  async #own(image: string): Promise<Docker.ImageInspectInfo | null> {
    const info = await this.#docker
      .getImage(image)
      .inspect()
      .catch(() => null);
    return info && info.Config.Labels?.[buildLabel] === undefined ? info : null;
  }

  async #pullOnce(image: string, call: Call): Promise<string> {
    const authconfig = credentialsFor(image, this.#registry);
    const stream = await this.#docker.pull(image, {
      ...(authconfig ? { authconfig } : {}),
      abortSignal: call.signal,
    });
    const messages = await readMessages(stream as Readable, call);
    const digest = messages
      .map(({ status }) => /^Digest: (sha256:[0-9a-f]{64})$/.exec(status ?? '')?.[1])
      .findLast(Boolean);
    if (digest === undefined) throw new Error('the engine did not say which digest it pulled');
    return digest;
  }

  async #pushOnce(image: string, call: Call): Promise<string> {
    const stream = await this.#docker.getImage(image).push({
      authconfig: credentialsFor(image, this.#registry) ?? { username: '', password: '', serveraddress: '' },
      abortSignal: call.signal,
    });
    const messages = await readMessages(stream as Readable, call);
    const digest = messages.map(({ aux }) => aux?.Digest).findLast(Boolean);
    if (digest === undefined) throw new Error('the registry did not say which digest it has');
    return digest;
  }

  /** A registry that is away for a moment costs another try, not the deployment. */
  async #patiently<T>(
    image: string,
    { log, signal }: Call,
    attempt: () => Promise<T>,
    attempts = tries,
  ): Promise<T> {
    for (let made = 1; ; made += 1) {
      try {
        return await attempt();
      } catch (error) {
        signal.throwIfAborted();
        const explained = explain(image, error);
        if (explained.code !== 'unavailable' || made >= attempts) throw explained;
        log(`${explained.message} Trying once more.`);
        await sleep(this.#firstPauseMs * 2 ** (made - 1), null, { signal }).catch(() =>
          signal.throwIfAborted(),
        );
      }
    }
  }
}

async function readMessages(
  stream: Readable,
  { log, signal }: Call,
): Promise<z.output<typeof messageSchema>[]> {
  const messages: z.output<typeof messageSchema>[] = [];
  const lines = new LineSplitter((line) => {
    if (line.trim() !== '') messages.push(messageSchema.parse(JSON.parse(line)));
  });
  const abort = () => stream.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of stream) lines.write(String(chunk));
    lines.end();
  } finally {
    signal.removeEventListener('abort', abort);
  }
  for (const { id, status } of messages)
    if (status && /^(Pull complete|Pushed|Layer already exists|Already exists)$/.test(status))
      log(`${id}: ${status}`);
  const failed = messages.find(({ error }) => error !== undefined);
  if (failed) throw new Error(failed.error);
  return messages;
}

/** What an engine says of a registry, in words of ours. */
function explain(image: string, error: unknown): CestxError {
  if (error instanceof CestxError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const options = { detail: text, cause: error };
  if (/verification failed|digest mismatch|unexpected digest|filesystem layer verification/i.test(text))
    return notTheSame(image);
  if (/no matching manifest|does not match the specified platform/i.test(text))
    return new CestxError('build-failed', `There is no ${image} for the processors of this host.`, options);
  if (/unauthorized|authentication required|no basic auth|denied/i.test(text)) {
    return new CestxError(
      'build-failed',
      `The registry does not let us have ${image}, or has none of that name; check the name, and CESTX_REGISTRY_USER and CESTX_REGISTRY_PASSWORD.`,
      options,
    );
  }
  if (/manifest unknown|not found|name unknown|invalid reference|does not exist/i.test(text))
    return new CestxError(
      'build-failed',
      `There is no image ${image} in its registry; check its name and tag.`,
      options,
    );
  return new CestxError('unavailable', `The registry of ${image} does not answer.`, options);
}

function notTheSame(image: string): CestxError {
  return new CestxError(
    'build-failed',
    `What the registry gave for ${image} is not what its digest says; it was not taken.`,
  );
}

function checked(image: string, info: Docker.ImageInspectInfo): Docker.ImageInspectInfo {
  const { Cmd, Entrypoint } = info.Config;
  if (Cmd?.length || (Entrypoint as string[] | null)?.length) return info;
  throw new CestxError(
    'build-failed',
    `The image ${image} does not say what to start; it needs a CMD or an ENTRYPOINT.`,
  );
}
