import { Injectable } from '@nestjs/common';

import { CestxError, type TriggerSettings } from '#contracts';
import { EventStreams, streamNames } from '#messaging';

import {
  callDurable,
  callsStream,
  callSubjects,
  durableOf,
  leaseMs,
  streamOf,
  subjectsOf,
  type FunctionKey,
} from './consumer-names.ts';

/** Messages that may be with a function at a time, over all processes; the processes themselves take no more than there are hands for. */
const maxHeld = 20_000;
const platformStreams: ReadonlySet<string> = new Set(Object.values(streamNames));
/** Streams of the platform, and those behind buckets, are nobody's to read. */
const isOurs = (stream: string): boolean => platformStreams.has(stream) || /^(?:KV|OBJ)_/.test(stream);

/** The durable consumers of the broker behind triggers. Making one that is there, or removing one that is not, is harmless. */
@Injectable()
export class TriggerConsumers {
  constructor(private readonly streams: EventStreams) {}

  /** `trigger` null: of the work that is for the function only. Throws `not-found` when its stream is not there. */
  async ensure(key: FunctionKey, trigger: TriggerSettings | null): Promise<void> {
    if (trigger === null || trigger.kind === 'schedule') {
      return this.streams.ensureConsumer(callsStream, {
        durable: callDurable(key),
        subjects: callSubjects(key),
        deliver: 'all',
        lease: leaseMs,
        maxHeld,
      });
    }
    if (trigger.kind === 'stream' && isOurs(trigger.stream)) {
      throw new CestxError(
        'bad-request',
        `The stream ${trigger.stream} belongs to the platform; name one of your own.`,
      );
    }
    await this.streams.ensureConsumer(streamOf(trigger), {
      durable: durableOf(key, trigger.id),
      subjects: subjectsOf(key, trigger),
      deliver: trigger.deliver,
      lease: leaseMs,
      // In order means that nothing follows what is not settled, whichever process has it.
      maxHeld: trigger.orderBy ? (trigger.batch?.size ?? 1) : maxHeld,
    });
  }

  async remove(key: FunctionKey, trigger: TriggerSettings): Promise<void> {
    if (trigger.kind !== 'schedule')
      await this.streams.removeConsumer(streamOf(trigger), durableOf(key, trigger.id));
  }

  /** The function goes: so does the work that waits for it alone. */
  async removeAll(key: FunctionKey, triggers: readonly TriggerSettings[]): Promise<void> {
    for (const trigger of triggers) await this.remove(key, trigger);
    await this.streams.removeConsumer(callsStream, callDurable(key));
    for (const subject of callSubjects(key)) await this.streams.purge(callsStream, subject);
  }
}
