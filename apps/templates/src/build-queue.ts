import { CestxError } from '#contracts';

import { planTurns, type Waiting } from './plan-turns.ts';

export interface QueuedBuild extends Waiting {
  readonly id: string;
  /** Told, and told again when it changes, how many builds come before this one. */
  readonly onWait?: (before: number) => void;
}

interface RunningBuild {
  controller: AbortController;
  settled: Promise<unknown>;
}

interface Place extends Waiting {
  /** Someone who waits only for the content, such as for the removal of what was made of it. */
  readonly needsTurn: boolean;
  readonly enter: () => void;
  readonly tell: ((before: number) => void) | undefined;
  told: number | undefined;
}

/**
 * Whose turn it is.
 * 1. At most `size` builds run at once.
 * 2. Projects take turns: many builds of one delay another's by those that run, not by those that wait.
 * 3. Of one content only one runs at a time, so that the second finds what the first has made; whoever removes an artefact
 *    waits likewise.
 * 4. Whoever needs all builds to rest gets it when those that run have ended; the others wait for him.
 */
export class BuildQueue {
  readonly #timeout: number;
  readonly #size: number;
  readonly #running = new Map<string, RunningBuild>();
  readonly #contents = new Set<string>();
  readonly #waiting: Place[] = [];
  /** Of projects that wait or run; the number grows with every turn. */
  readonly #lastTurns = new Map<string, number>();
  #turns = 0;
  #taken = 0;
  #resting: Promise<void> = Promise.resolve();
  #rests: { enter: () => void } | null = null;

  constructor(options: { size: number; timeout: number }) {
    this.#size = options.size;
    this.#timeout = options.timeout;
  }

  /** `work` is aborted when the build is cancelled, takes too long, or the room stops; the signal's reason says which. */
  async run<T>(
    build: QueuedBuild,
    stopping: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const before = this.#running.get(build.id);
    if (before) await before.settled;
    const controller = new AbortController();
    const stop = () => controller.abort(roomStops());
    stopping.addEventListener('abort', stop, { once: true });
    if (stopping.aborted) stop();
    const result = this.#inTurn(build, controller, work).finally(() => {
      stopping.removeEventListener('abort', stop);
      this.#running.delete(build.id);
    });
    this.#running.set(build.id, { controller, settled: result.catch(() => undefined) });
    return await result;
  }

  /** Resolves once the build, if it runs or waits, has ended and cleaned up after itself. */
  async cancel(buildId: string, reason: CestxError): Promise<void> {
    const running = this.#running.get(buildId);
    running?.controller.abort(reason);
    await running?.settled;
  }

  async alone<T>(content: string, work: () => Promise<T>): Promise<T> {
    const place = { project: '', content, needsTurn: false };
    await this.#enter(place, undefined, new AbortController().signal);
    try {
      return await work();
    } finally {
      this.#leave(place);
    }
  }

  /** Runs `work` while no build does. */
  async whileResting<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#resting.then(async () => {
      await new Promise<void>((enter) => {
        this.#rests = { enter };
        this.#admit();
      });
      try {
        return await work();
      } finally {
        this.#rests = null;
        this.#admit();
      }
    });
    this.#resting = mine.then(
      () => undefined,
      () => undefined,
    );
    return await mine;
  }

  async #inTurn<T>(
    build: QueuedBuild,
    controller: AbortController,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { signal } = controller;
    const place = { project: build.project, content: build.content, needsTurn: true };
    await this.#enter(place, build.onWait, signal);
    const timer = setTimeout(() => controller.abort(tookTooLong(this.#timeout)), this.#timeout);
    try {
      return await work(signal);
    } finally {
      clearTimeout(timer);
      this.#leave(place);
    }
  }

  /** Throws the signal's reason when it is aborted before its turn has come. */
  async #enter(
    place: Waiting & { needsTurn: boolean },
    tell: Place['tell'],
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#tellPlaces();
        reject(signal.reason as Error);
      };
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const waiting: Place = { ...place, enter, tell, told: undefined };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', leave, { once: true });
      this.#admit();
    });
  }

  #leave({ content, needsTurn }: { content: string; needsTurn: boolean }): void {
    this.#contents.delete(content);
    if (needsTurn) this.#taken -= 1;
    this.#admit();
  }

  #admit(): void {
    for (const place of planTurns(this.#waiting, this.#lastTurns)) {
      const full = this.#rests !== null || this.#taken >= this.#size;
      if (this.#contents.has(place.content) || (place.needsTurn && full)) continue;
      this.#waiting.splice(this.#waiting.indexOf(place), 1);
      this.#contents.add(place.content);
      if (place.needsTurn) {
        this.#taken += 1;
        this.#lastTurns.set(place.project, ++this.#turns);
      }
      place.enter();
    }
    if (this.#taken === 0) this.#rests?.enter();
    if (this.#waiting.length === 0 && this.#taken === 0) this.#lastTurns.clear();
    this.#tellPlaces();
  }

  #tellPlaces(): void {
    const builds = planTurns(this.#waiting, this.#lastTurns).filter(({ needsTurn }) => needsTurn);
    for (const [index, place] of builds.entries()) {
      const before = index + this.#taken;
      if (place.told === before) continue;
      place.told = before;
      place.tell?.(before);
    }
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
