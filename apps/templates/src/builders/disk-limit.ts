import { CestxError } from '#contracts';

const everyMs = 1000;

/** Looks every second at what a build has written, and ends it when that is too much. */
export class DiskLimit {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();
  #busy = false;

  /** Both in bytes. A measurement that fails is left out. */
  constructor(limit: number, measure: () => Promise<number>) {
    const look = async () => {
      const bytes = await measure().catch(() => 0);
      if (bytes > limit) this.#controller.abort(wroteTooMuch(limit));
    };
    this.#timer = setInterval(() => {
      if (this.#busy) return;
      this.#busy = true;
      this.#looking = look().finally(() => {
        this.#busy = false;
      });
    }, everyMs);
  }

  /** Aborted when it was too much, with what the user is told. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }
}

function wroteTooMuch(limit: number): CestxError {
  const mebibytes = Math.round(limit / 1024 ** 2);
  const told = mebibytes % 1024 === 0 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`;
  return new CestxError(
    'build-failed',
    `The build wrote more than ${told} to the disk, which CESTX_BUILD_DISK allows.`,
  );
}
