import { appSubject, type TriggerEntry } from '#contracts';
import {
  batchMediaType,
  httpHeadersOf,
  matchesEvent,
  readNatsEvent,
  writeJsonEvent,
  type CloudEvent,
} from '#events';
import type { LeasedMessage } from '#messaging';

export type Consumer = TriggerEntry['consumers'][number];

/** Headers that travel beside an event and are no attribute of it. */
export const transportHeaders = {
  /** How many functions answered events with events before this one. */
  depth: 'cestx-depth',
  /** When the event first came, where it was stored anew since. */
  firstSeen: 'cestx-first-seen',
  callId: 'cestx-call-id',
  /** The subject it came on first. */
  subject: 'cestx-subject',
} as const;

/** One message as a function is to see it. */
export interface Delivery {
  readonly message: LeasedMessage;
  readonly event: CloudEvent;
  readonly depth: number;
  readonly callId: string;
  readonly firstSeen: Date;
}

/** What to make of a message. Throws `invalid-event`. */
export function readDelivery(message: LeasedMessage, project: string, durable: string): Delivery {
  const { stream, sequence, storedAt, headers } = message;
  const subject = headers[transportHeaders.subject] ?? message.subject;
  const prefix = appSubject(project, '');
  const topic = subject.startsWith(prefix) ? subject.slice(prefix.length) : subject;
  const event = readNatsEvent(headers, message.data, { stream, sequence, type: topic, time: storedAt });
  const depth = Number(headers[transportHeaders.depth] ?? 0);
  const firstSeen = new Date(headers[transportHeaders.firstSeen] ?? storedAt);
  return {
    message,
    event,
    depth: Number.isSafeInteger(depth) && depth >= 0 ? depth : 0,
    callId: headers[transportHeaders.callId] ?? `${durable}-${sequence}`,
    firstSeen: Number.isNaN(firstSeen.getTime()) ? storedAt : firstSeen,
  };
}

/** Whether the trigger takes this event. */
export function isWanted({ trigger }: Consumer, { event }: Delivery): boolean {
  const filter = trigger && trigger.kind !== 'schedule' ? trigger.filter : undefined;
  return filter === undefined || matchesEvent(filter, event.attributes);
}

/** The HTTP request that hands these events over: one in binary mode, several as a batch. */
export function requestOf(
  deliveries: readonly Delivery[],
  batched: boolean,
  attempt: number,
): { headers: Record<string, string>; body: Buffer | null } {
  const [first] = deliveries;
  if (!first) throw new Error('There is nothing to hand over.');
  const about = {
    'user-agent': 'cestx',
    'x-call-id': first.callId,
    'x-attempt': String(attempt),
    'x-first-seen': first.firstSeen.toISOString(),
    'cestx-depth': String(Math.max(...deliveries.map(({ depth }) => depth))),
  };
  if (!batched) return { headers: { ...httpHeadersOf(first.event), ...about }, body: first.event.data };
  const body = Buffer.from(JSON.stringify(deliveries.map(({ event }) => writeJsonEvent(event))));
  return { headers: { ...about, 'content-type': batchMediaType }, body };
}
