import { Injectable } from '@nestjs/common';

import { appSubject, CestxError, type TriggerEntry } from '#contracts';
import { natsHeadersOf, readHttpEvents, topicOfType } from '#events';
import type { FunctionAnswer } from '#invocation';
import { EventStreams } from '#messaging';

import { transportHeaders, type Delivery } from './read-delivery.ts';

/** Publishes the events functions answer with, so that functions chain. */
@Injectable()
export class ReplyPublisher {
  constructor(private readonly streams: EventStreams) {}

  /**
   * Does nothing when the answer carries no event. An event that is published twice, because its cause was handed over twice,
   * is stored once. Throws `invalid-event` for an answer that says it carries one and does not.
   */
  async publish(
    { project, function: name }: TriggerEntry,
    cause: Delivery,
    answer: FunctionAnswer,
  ): Promise<void> {
    const events = readHttpEvents(answer.headers, answer.body) ?? [];
    if (events.length > 0 && answer.truncated) {
      throw new CestxError('invalid-event', 'The event the function answered with is too large.');
    }
    const { traceparent } = cause.message.headers;
    for (const [index, event] of events.entries()) {
      await this.streams.publish(
        appSubject(project, topicOfType(event.attributes.type)),
        event.data ?? Buffer.alloc(0),
        {
          messageId: `${project}/${name}/${cause.callId}/${index}/${event.attributes.id}`,
          headers: {
            ...natsHeadersOf(event),
            [transportHeaders.depth]: String(cause.depth + 1),
            ...(traceparent ? { traceparent } : {}),
          },
        },
      );
    }
  }
}
