import { setTimeout as delay } from 'node:timers/promises';

import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { feedLineSchema, logSubject, type FeedLine } from '#contracts';
import { Feeds } from '#messaging';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';
import type { MachineLine } from './machine.driver.ts';
import type { MachineRow } from './machine.entity.ts';
import { RecentLines } from './seen-lines.ts';
import { untraced } from './trace-driver.ts';

type Speaker = Pick<MachineRow, 'id' | 'project' | 'function' | 'revision'>;

interface Pumped {
  readonly speaker: Speaker;
  /** Null until it is known where the feed ended before this process began. */
  recent: RecentLines | null;
  position: number;
  last: string[];
  task: Promise<void> | null;
  again: boolean;
}

const keptLastLines = 20;
/** Lines on their way to the broker at a time. */
const inFlight = 128;

/**
 * Carries each machine's lines to its feed. The feed itself is the memory of how far it came, so whoever goes on after a
 * kill reads there what was sent last: no line is lost, and message ids keep the broker from storing one twice.
 */
@Injectable()
export class LogPump {
  readonly #machines = new Map<string, Pumped>();
  readonly #stopping = new AbortController();

  constructor(
    @Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver,
    private readonly feeds: Feeds,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Follows a machine from where its feed ends until it has exited and said everything. Called after each start. */
  follow(speaker: Speaker): void {
    const pumped = this.#machines.get(speaker.id) ?? {
      speaker,
      recent: null,
      position: 0,
      last: [],
      task: null,
      again: false,
    };
    this.#machines.set(speaker.id, pumped);
    pumped.again = true;
    pumped.task ??= untraced(() => this.#run(pumped)).finally(() => {
      pumped.task = null;
    });
  }

  /** Resolves when an exited machine has said everything, or after `patienceMs`. */
  async finished(id: string, patienceMs: number): Promise<void> {
    const late = new AbortController();
    await Promise.race([
      this.#machines.get(id)?.task,
      delay(patienceMs, null, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
  }

  lastLines(id: string): string[] {
    return [...(this.#machines.get(id)?.last ?? [])];
  }

  forget(id: string): void {
    const pumped = this.#machines.get(id);
    if (pumped) pumped.again = false;
    this.#machines.delete(id);
  }

  async stop(patienceMs: number): Promise<void> {
    await Promise.all([...this.#machines.keys()].map((id) => this.finished(id, patienceMs)));
    this.#stopping.abort();
    await Promise.all([...this.#machines.values()].map(async ({ task }) => task));
  }

  async #run(pumped: Pumped): Promise<void> {
    const { speaker } = pumped;
    while (pumped.again && !this.#stopping.signal.aborted) {
      pumped.again = false;
      try {
        pumped.recent ??= await this.#recall(pumped);
        const lines = this.chosen.driver.logs(speaker.id, pumped.recent.lines, this.#stopping.signal);
        for await (const batch of lines) await this.#publish(pumped, batch);
      } catch (error) {
        if (this.#stopping.signal.aborted || !this.#machines.has(speaker.id)) return;
        this.logger.warn(
          { err: error, machine: speaker.id },
          'reading the lines of a machine failed, trying again',
        );
        pumped.again = true;
        await delay(500, null, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    }
  }

  /** Where the feed ends: in this process nothing was sent for this machine yet. */
  async #recall(pumped: Pumped): Promise<RecentLines> {
    const { project, function: name, id } = pumped.speaker;
    const subject = logSubject(project, name, id);
    if (!(await this.feeds.last(subject, feedLineSchema))) return new RecentLines();
    const recent = new RecentLines();
    for (const { value } of await this.feeds.read(subject, feedLineSchema)) {
      const { stream, timestamp, text } = value;
      recent.push({ stream: stream === 'stderr' ? 'stderr' : 'stdout', timestamp, text });
      pumped.position = Math.max(pumped.position, value.position);
      pumped.last = [...pumped.last, text].slice(-keptLastLines);
    }
    return recent;
  }

  async #publish(pumped: Pumped, batch: readonly MachineLine[]): Promise<void> {
    pumped.last = [...pumped.last, ...batch.map(({ text }) => text)].slice(-keptLastLines);
    for (let at = 0; at < batch.length; at += inFlight) {
      const part = batch.slice(at, at + inFlight);
      const lines = part.map((line, index) => toFeedLine(pumped, line, pumped.position + index + 1));
      await this.#send(pumped.speaker, lines);
      pumped.position += part.length;
      pumped.recent?.push(...part);
    }
  }

  /** Tries until the broker has them all: a machine never waits for this, its lines are kept where they are. */
  async #send({ project, function: name, id }: Speaker, lines: readonly FeedLine[]): Promise<void> {
    const subject = logSubject(project, name, id);
    for (;;) {
      const sent = await Promise.allSettled(
        lines.map((line) => this.feeds.publish(subject, line, { messageId: `${id}-${line.position}` })),
      );
      const failed = sent.find((result) => result.status === 'rejected');
      if (!failed) return;
      if (this.#stopping.signal.aborted) throw failed.reason;
      await delay(250, null, { signal: this.#stopping.signal }).catch(() => undefined);
    }
  }
}

function toFeedLine({ speaker }: Pumped, line: MachineLine, position: number): FeedLine {
  const { project, function: name, revision, id: machine } = speaker;
  return { project, name, revision, machine, ...line, position };
}
