import { feedLineSchema, logSubject } from '#contracts';
import type { Feeds } from '#messaging';

/** Characters of a build's output that are kept with it. */
const keptLength = 256 * 1024;
/** Lines of one build that go to the feed; what comes after is only kept. */
const publishedLines = 20_000;

export interface BuildLogOf {
  project: string;
  function: string;
  buildId: string;
}

/** The output of one build: live on the feed, its end kept. A build goes on when the feed is away. */
export class BuildLog {
  readonly #feeds: Feeds;
  readonly #of: BuildLogOf;
  readonly #first: number;
  #position: number;
  #lines: string[] = [];
  #length = 0;
  #published: Promise<void> = Promise.resolve();
  #lost: unknown;

  private constructor(feeds: Feeds, of: BuildLogOf, position: number) {
    this.#feeds = feeds;
    this.#of = of;
    this.#first = position;
    this.#position = position;
  }

  /** A build that was killed and starts again goes on counting where its feed ends. */
  static async open(feeds: Feeds, of: BuildLogOf): Promise<BuildLog> {
    const last = await feeds.last(logSubject(of.project, of.function, `build-${of.buildId}`), feedLineSchema);
    return new BuildLog(feeds, of, last?.position ?? 0);
  }

  readonly write = (text: string): void => {
    this.#lines.push(text);
    this.#length += text.length + 1;
    while (this.#length > keptLength && this.#lines.length > 1)
      this.#length -= (this.#lines.shift() ?? '').length + 1;
    const written = this.#position - this.#first;
    if (written < publishedLines) this.#publish(text);
    else if (written === publishedLines) this.#publish('… more lines follow; only the last are kept');
  };

  get text(): string {
    return this.#lines.join('\n');
  }

  tail(count: number): string[] {
    return this.#lines.slice(-count);
  }

  /** Resolves when every line has left; returns what kept some from leaving. */
  async flush(): Promise<unknown> {
    await this.#published;
    return this.#lost;
  }

  #publish(text: string): void {
    const { project, function: name, buildId } = this.#of;
    const machine = `build-${buildId}`;
    const position = ++this.#position;
    const timestamp = new Date().toISOString();
    const line = {
      project,
      name,
      revision: null,
      machine,
      stream: 'build',
      timestamp,
      text,
      position,
    } as const;
    const send = () =>
      this.#feeds.publish(logSubject(project, name, machine), line, { messageId: `${machine}-${position}` });
    // One after the other: the order of the feed is the order of the lines.
    this.#published = this.#published.then(send).catch((error: unknown) => {
      this.#lost = error;
    });
  }
}
