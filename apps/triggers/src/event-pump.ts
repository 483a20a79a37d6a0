import { setTimeout as sleep } from 'node:timers/promises';

import type { Logger } from 'pino';

import { asCestxError } from '#contracts';
import type { Target } from '#invocation';
import type { EventStreams, LeasedMessage } from '#messaging';

import type { EventDeliverer, Source } from './deliver-events.ts';
import type { FunctionCaller } from './function-caller.ts';
import { handsFor } from './plan-hands.ts';
import type { Delivery } from './read-delivery.ts';

export interface PumpParts {
  readonly streams: EventStreams;
  readonly functions: FunctionCaller;
  readonly deliverer: EventDeliverer;
  readonly perMachine: number;
  readonly logger: Logger;
  /** Makes the consumer anew after somebody deleted it. */
  readonly restore: (source: Source) => Promise<void>;
}

/** Milliseconds one question to the broker stays open while nothing comes. */
const waitMs = 30_000;
/** Milliseconds between looks at what may have changed: machines, a route. */
const lookMs = 100;
const retryMs = 1000;

/**
 * Takes the events of one consumer and hands them over, never more at a time than the function has hands for: what is taken is
 * held, and a message nobody works on would be handed to somebody else.
 */
export class EventPump {
  source: Source;
  readonly #parts: PumpParts;
  readonly #stopping = new AbortController();
  /** Cuts off what is under way. */
  readonly #ending = new AbortController();
  readonly #held = new Set<LeasedMessage>();
  readonly #work = new Set<Promise<void>>();
  readonly #running: Promise<void>;
  #batch: Delivery[] = [];
  #batchTimer: NodeJS.Timeout | undefined;

  constructor(source: Source, parts: PumpParts) {
    this.source = source;
    this.#parts = parts;
    this.#running = this.#run();
  }

  /** Keeps what it holds; to be called well within the lease. */
  extend(): void {
    for (const message of this.#held) message.extend();
  }

  /** Takes nothing more, and lets what is under way end for so long; what has not ended by then comes again. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#flush();
    const over = AbortSignal.timeout(patienceMs);
    await Promise.race([
      Promise.all(this.#work),
      new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true })),
    ]);
    this.#ending.abort();
    await Promise.all(this.#work);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#pull();
      } catch (thrown) {
        const error = asCestxError(thrown);
        const { durable } = this.source.consumer;
        if (signal.aborted) return;
        this.#parts.logger.warn({ err: error, durable }, 'events cannot be taken, trying again');
        if (error.code === 'not-found') await this.#parts.restore(this.source).catch(() => undefined);
        await sleep(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #pull(): Promise<void> {
    const { signal } = this.#stopping;
    const { stream, durable } = this.source.consumer;
    let messages: Awaited<ReturnType<EventStreams['open']>> | undefined;
    while (!signal.aborted) {
      const free = this.#hands() - this.#held.size;
      if (free <= 0) {
        await this.#handFree();
        continue;
      }
      messages ??= await this.#parts.streams.open(stream, durable);
      const fewer = new AbortController();
      // Machines that went since may not be asked for what was meant for them.
      const watch = setInterval(() => {
        if (this.#hands() === 0) fewer.abort();
      }, lookMs);
      try {
        const either = AbortSignal.any([signal, fewer.signal]);
        await messages.take(free, waitMs, (message) => this.#begin(message), either);
      } finally {
        clearInterval(watch);
      }
    }
  }

  /** How many messages may be held at a time; none while the function cannot be called. */
  #hands(): number {
    const target = this.#target();
    if (!target?.route || this.source.consumer.paused) return 0;
    return handsFor(this.source, target.route, target.countReady(), this.#parts.perMachine);
  }

  #target(): Target | undefined {
    return this.#parts.functions.find(this.source.entry);
  }

  async #handFree(): Promise<void> {
    const { signal } = this.#stopping;
    const look = sleep(lookMs, undefined, { signal }).catch(() => undefined);
    await Promise.race([...this.#work, look]);
  }

  #begin(message: LeasedMessage): void {
    this.#held.add(message);
    const work = this.#handle(message).finally(() => this.#work.delete(work));
    this.#work.add(work);
  }

  async #handle(message: LeasedMessage): Promise<void> {
    const delivery = await this.#parts.deliverer.read(this.source, message);
    if (!delivery) {
      this.#held.delete(message);
      return;
    }
    const { trigger } = this.source.consumer;
    const batch = trigger && trigger.kind !== 'schedule' ? trigger.batch : undefined;
    if (!batch) return this.#deliver([delivery]);
    this.#batch.push(delivery);
    if (this.#batch.length >= batch.size) return this.#flush();
    this.#batchTimer ??= setTimeout(() => void this.#flush(), batch.within);
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#batchTimer);
    this.#batchTimer = undefined;
    const deliveries = this.#batch;
    this.#batch = [];
    if (deliveries.length > 0) {
      const work = this.#deliver(deliveries).finally(() => this.#work.delete(work));
      this.#work.add(work);
    }
  }

  async #deliver(deliveries: readonly Delivery[]): Promise<void> {
    const target = this.#target();
    try {
      if (target) await this.#parts.deliverer.deliver(this.source, deliveries, target, this.#ending.signal);
      else for (const { message } of deliveries) message.retryIn(retryMs);
    } finally {
      for (const { message } of deliveries) this.#held.delete(message);
    }
  }
}
