import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { triggerEntrySchema, triggersBucket, type TriggerEntry } from '#contracts';
import { EventStreams, KeyValues } from '#messaging';

import { leaseMs } from './consumer-names.ts';
import { EventDeliverer, type Source } from './deliver-events.ts';
import { EventPump } from './event-pump.ts';
import { FunctionCaller } from './function-caller.ts';
import { TriggerConsumers } from './trigger-consumers.ts';
import { TriggerStore } from './trigger.store.ts';
import type { TriggersConfig } from './triggers.config.ts';

/** Milliseconds that what is under way may still take when its trigger goes, or this room stops. */
const patienceMs = 8000;

/** Has one pump for each consumer that holds events for a function, in every process of this room. */
@Injectable()
export class DeliverEventsLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #pumps = new Map<string, EventPump>();
  readonly #ending = new Set<Promise<void>>();
  #stopWatching: (() => Promise<void>) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly keyValues: KeyValues,
    private readonly streams: EventStreams,
    private readonly functions: FunctionCaller,
    private readonly deliverer: EventDeliverer,
    private readonly consumers: TriggerConsumers,
    private readonly triggers: TriggerStore,
    @Inject(ROOM_CONFIG) private readonly config: TriggersConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    this.#stopWatching = await this.keyValues.watch(triggersBucket, triggerEntrySchema, (key, entry) =>
      this.#set(key, entry),
    );
    this.#timer = setInterval(() => {
      for (const pump of this.#pumps.values()) pump.extend();
    }, leaseMs / 3);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#stopWatching?.();
    for (const key of this.#pumps.keys()) this.#end(key);
    await Promise.all(this.#ending);
    clearInterval(this.#timer);
  }

  /** `key` is `<project>.<function>`. */
  #set(key: string, entry: TriggerEntry | null): void {
    const wanted = new Map(
      (entry?.consumers ?? []).map((consumer) => [`${key}/${consumer.stream}/${consumer.durable}`, consumer]),
    );
    for (const known of this.#pumps.keys()) {
      if (known.startsWith(`${key}/`) && !wanted.has(known)) this.#end(known);
    }
    if (!entry) return;
    for (const [name, consumer] of wanted) {
      const source = { entry, consumer };
      const pump = this.#pumps.get(name);
      if (pump) pump.source = source;
      else this.#pumps.set(name, this.#start(source));
    }
  }

  #start(source: Source): EventPump {
    return new EventPump(source, {
      streams: this.streams,
      functions: this.functions,
      deliverer: this.deliverer,
      perMachine: this.config.CESTX_EVENTS_PER_MACHINE,
      logger: this.logger,
      restore: (from) => this.#restore(from),
    });
  }

  /** Somebody deleted the consumer by hand; or the trigger is going, and its rows are gone already. */
  async #restore({ entry, consumer: { trigger } }: Source): Promise<void> {
    const wanted = trigger ? await this.triggers.find(entry, trigger.id) : await this.triggers.isKnown(entry);
    if (wanted) await this.consumers.ensure(entry, trigger);
  }

  #end(name: string): void {
    const pump = this.#pumps.get(name);
    this.#pumps.delete(name);
    if (!pump) return;
    const ended: Promise<void> = pump
      .stop(patienceMs)
      .catch((error: unknown) => this.logger.warn({ err: error }, 'while a trigger ended'))
      .finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}
