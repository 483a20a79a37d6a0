import type Docker from 'dockerode';

import { CestxError } from '#contracts';
import { answer } from './engine.ts';

/** The runtimes an engine has. Asked once, and again only when one is missing: it may have been added since. */
export class Runtimes {
  #known: readonly string[] = [];
  readonly #docker: Docker;

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** Throws `start-failed` that says which there are and how to add it. */
  async require(name: string): Promise<void> {
    if (this.#known.includes(name)) return;
    const info = (await answer(this.#docker.info())) as { Runtimes?: Record<string, unknown> };
    // The engine also lists the ways it talks to runc, by names with dots.
    this.#known = Object.keys(info.Runtimes ?? {}).filter((known) => !known.includes('.'));
    if (this.#known.includes(name)) return;
    throw new CestxError(
      'start-failed',
      `The container engine has no runtime "${name}"; it has ${this.#known.join(', ')}. Install it, add "runtimes": {"${name}": {"path": "/usr/bin/${name}"}} to /etc/docker/daemon.json and restart the engine, or leave "runtime" out.`,
    );
  }
}
