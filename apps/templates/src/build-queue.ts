import { CestxError } from '#contracts';

import { Lane } from './lane.ts';

interface RunningBuild {
  controller: AbortController;
  settled: Promise<unknown>;
}

/**
 * Whose turn it is. At most `size` builds run at once; builds of the same content wait for each other, so that the second
 * finds what the first has made; whoever removes an artefact waits likewise.
 */
export class BuildQueue {
  readonly #turns: Lane;
  readonly #contents = new Map<string, Lane>();
  readonly #running = new Map<string, RunningBuild>();
  readonly #timeout: number;

  constructor(options: { size: number; timeout: number }) {
    this.#turns = new Lane(options.size);
    this.#timeout = options.timeout;
  }

  /** `work` is aborted when the build is cancelled, takes too long, or the room stops; the signal's reason says which. */
  async run<T>(
    buildId: string,
    content: string,
    stopping: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const before = this.#running.get(buildId);
    if (before) await before.settled;
    const controller = new AbortController();
    const stop = () => controller.abort(roomStops());
    stopping.addEventListener('abort', stop, { once: true });
    if (stopping.aborted) stop();
    const result = this.#inTurn(content, controller, work).finally(() => {
      stopping.removeEventListener('abort', stop);
      this.#running.delete(buildId);
    });
    this.#running.set(buildId, { controller, settled: result.catch(() => undefined) });
    return await result;
  }

  /** Resolves once the build, if it runs or waits, has ended and cleaned up after itself. */
  async cancel(buildId: string, reason: CestxError): Promise<void> {
    const running = this.#running.get(buildId);
    running?.controller.abort(reason);
    await running?.settled;
  }

  async alone<T>(content: string, work: () => Promise<T>): Promise<T> {
    return await this.#laneOf(content).run(new AbortController().signal, work);
  }

  async #inTurn<T>(
    content: string,
    controller: AbortController,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { signal } = controller;
    return await this.#laneOf(content).run(signal, () =>
      this.#turns.run(signal, async () => {
        const timer = setTimeout(() => controller.abort(tookTooLong(this.#timeout)), this.#timeout);
        try {
          return await work(signal);
        } finally {
          clearTimeout(timer);
        }
      }),
    );
  }

  #laneOf(content: string): Lane {
    for (const [key, lane] of this.#contents) if (lane.isFree && key !== content) this.#contents.delete(key);
    const lane = this.#contents.get(content) ?? new Lane(1);
    this.#contents.set(content, lane);
    return lane;
  }
}

function roomStops(): CestxError {
  return new CestxError('unavailable', 'The platform stops; the build starts again with it.', {
    retryable: true,
  });
}

function tookTooLong(ms: number): CestxError {
  return new CestxError(
    'build-failed',
    `The build took longer than ${Math.round(ms / 1000)} s, which CESTX_BUILD_TIMEOUT allows.`,
  );
}
