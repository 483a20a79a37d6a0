import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type Docker from 'dockerode';
import { z } from 'zod';

import { type Language, LineSplitter } from '#builds';
import { CestxError } from '#contracts';

const known: Record<Language, { own: string; public: string }> = {
  node: { own: 'cestx/node:24', public: 'node:24-slim' },
  python: { own: 'cestx/python:3', public: 'python:3-slim' },
  go: { own: 'cestx/go:1', public: 'golang:1' },
};
/** A compiled program needs no more than certificates and time zones. */
const ownRunImage = 'cestx/run:1';

interface Call {
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** A registry that is away for a moment costs another try, not the build. */
const tries = 3;
const pauseMs = 1000;
/** What another try does not change. */
const lasting =
  /not found|manifest unknown|denied|unauthorized|does not exist|invalid reference|no matching manifest|no such host|no space left/i;

const messageSchema = z.object({ error: z.string().optional() });

/** The images that builds start from. */
export class BaseImages {
  readonly #docker: Docker;
  readonly #chosen: Partial<Record<Language, string | undefined>>;

  /** `chosen` are the user's; else our own where it was made, else the public one. */
  constructor(docker: Docker, chosen: Partial<Record<Language, string | undefined>>) {
    this.#docker = docker;
    this.#chosen = chosen;
  }

  /** The image the phases of a language run in, and the one its program runs in. */
  async of(language: Language): Promise<{ build: string; run: string }> {
    const { own, public: other } = known[language];
    const build = this.#chosen[language] || ((await this.#find(own)) ? own : other);
    return { build, run: language === 'go' && (await this.#find(ownRunImage)) ? ownRunImage : build };
  }

  /** What the engine knows of an image, pulled first when it is not there. Throws `build-failed` when it cannot be had. */
  async get(name: string, call: Call): Promise<Docker.ImageInspectInfo> {
    const found = await this.#find(name);
    if (found) return found;
    call.log(`Pulling ${name}.`);
    for (let tried = 1; ; tried++) {
      const failure = await this.#pull(name, call);
      if (failure === undefined) break;
      if (tried === tries || lasting.test(failure)) throw cannotBeHad(name, failure);
      call.log(`The registry did not give ${name} (${failure.trim()}); trying once more.`);
      await sleep(pauseMs * tried, null, { signal: call.signal }).catch(() => call.signal.throwIfAborted());
    }
    const pulled = await this.#find(name);
    if (pulled) return pulled;
    throw cannotBeHad(name, 'the engine says it was pulled, but has no such image');
  }

  async #find(name: string): Promise<Docker.ImageInspectInfo | null> {
    try {
      return await this.#docker.getImage(name).inspect();
    } catch (error) {
      if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return null;
      throw error;
    }
  }

  /** Resolves with why it could not be pulled, as the engine says it. */
  async #pull(name: string, { signal }: Call): Promise<string | undefined> {
    const tagged = /[:@][^/]*$/.test(name) ? name : `${name}:latest`;
    let failure: string | undefined;
    const lines = new LineSplitter((line) => {
      if (line.trim() !== '') failure = messageSchema.parse(JSON.parse(line)).error ?? failure;
    });
    try {
      const stream = (await this.#docker.pull(tagged, { abortSignal: signal })) as Readable;
      const abort = () => stream.destroy();
      signal.addEventListener('abort', abort, { once: true });
      try {
        for await (const chunk of stream) lines.write(String(chunk));
        lines.end();
      } finally {
        signal.removeEventListener('abort', abort);
      }
    } catch (error) {
      signal.throwIfAborted();
      // No answer at all is the engine's affair, and nothing the source could help.
      if (!(error instanceof Error && 'statusCode' in error && error.statusCode)) throw error;
      failure = error.message;
    }
    return failure;
  }
}

function cannotBeHad(name: string, reason: string): CestxError {
  const told = reason.replace(/^\(HTTP code \d+\)\s*[\w ]*-\s*/, '').trim();
  return new CestxError(
    'build-failed',
    `The base image ${name} cannot be had: ${told}. Check its name; where no registry can be reached, load it into the engine first (docker load), or make the project's own with npm run images.`,
    { detail: reason, lastLines: [told] },
  );
}
