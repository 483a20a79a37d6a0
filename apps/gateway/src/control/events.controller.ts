import { createHash, randomUUID } from 'node:crypto';

import { Controller, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import {
  appSubject,
  CestxError,
  GetDeadLetter,
  ListDeadLetters,
  ListTriggers,
  PauseTrigger,
  PreviewSchedule,
  PurgeDeadLetters,
  RedriveDeadLetters,
} from '#contracts';
import { natsHeadersOf, readHttpEvents, topicOfType, type CloudEvent } from '#events';
import { EventStreams, Messenger } from '#messaging';
import { traceHeaders } from '#storage';

import { carryOut } from './carry-out.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

const patience = 30_000;

@Controller()
export class EventsController {
  private readonly messenger: Messenger;
  private readonly streams: EventStreams;

  constructor(messenger: Messenger, streams: EventStreams) {
    this.messenger = messenger;
    this.streams = streams;
  }

  /** All of them are read before one is stored. */
  @Serves(operations.publishEvents)
  async publish(
    @Input(operations.publishEvents) { query }: InputOf<typeof operations.publishEvents>,
    @Req() request: FastifyRequest,
  ) {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const events = readHttpEvents(request.headers, body);
    if (!events) {
      const how = 'Send ce- headers, or Content-Type: application/cloudevents+json with a JSON event.';
      throw new CestxError('invalid-event', `The request carries no CloudEvent. ${how}`);
    }
    const depth = request.headers['cestx-depth'];
    const beside = {
      ...traceHeaders(),
      // A function that publishes an event because of another one passes on how deep that was.
      ...(typeof depth === 'string' && /^\d{1,6}$/.test(depth)
        ? { 'cestx-depth': String(Number(depth) + 1) }
        : {}),
    };
    const items = events.map((event) => ({
      id: event.attributes.id,
      subject: appSubject(query.project, topicOfType(event.attributes.type)),
    }));
    await Promise.all(
      events.map((event, index) =>
        this.streams.publish(items[index]?.subject ?? '', event.data ?? Buffer.alloc(0), {
          messageId: messageIdOf(query.project, event),
          headers: { ...natsHeadersOf(event), ...beside },
        }),
      ),
    );
    return { items };
  }

  @Serves(operations.listTriggers)
  triggers(@Input(operations.listTriggers) { query }: InputOf<typeof operations.listTriggers>) {
    return this.messenger.ask(ListTriggers, query);
  }

  @Serves(operations.pauseTrigger)
  pause(@Input(operations.pauseTrigger) { params, query }: InputOf<typeof operations.pauseTrigger>) {
    return this.setPaused(query.project, params, true);
  }

  @Serves(operations.resumeTrigger)
  resume(@Input(operations.resumeTrigger) { params, query }: InputOf<typeof operations.resumeTrigger>) {
    return this.setPaused(query.project, params, false);
  }

  @Serves(operations.previewSchedule)
  preview(@Input(operations.previewSchedule) { query }: InputOf<typeof operations.previewSchedule>) {
    return this.messenger.ask(PreviewSchedule, query);
  }

  @Serves(operations.listDeadLetters)
  deadLetters(@Input(operations.listDeadLetters) { query }: InputOf<typeof operations.listDeadLetters>) {
    return this.messenger.ask(ListDeadLetters, query);
  }

  @Serves(operations.getDeadLetter)
  deadLetter(@Input(operations.getDeadLetter) { params, query }: InputOf<typeof operations.getDeadLetter>) {
    return this.messenger.ask(GetDeadLetter, { project: query.project, id: params.id });
  }

  @Serves(operations.redriveDeadLetters)
  async redrive(
    @Input(operations.redriveDeadLetters) { query }: InputOf<typeof operations.redriveDeadLetters>,
  ) {
    await this.messenger.send(RedriveDeadLetters, randomUUID(), query);
    return { accepted: true as const };
  }

  @Serves(operations.purgeDeadLetters)
  purge(@Input(operations.purgeDeadLetters) { query }: InputOf<typeof operations.purgeDeadLetters>) {
    return carryOut(this.messenger, PurgeDeadLetters, query, patience);
  }

  private setPaused(project: string, { name, trigger }: { name: string; trigger: string }, paused: boolean) {
    const command = { project, function: name, triggerId: trigger, paused };
    return carryOut(this.messenger, PauseTrigger, command, patience);
  }
}

/** An event is known by its source and id (CloudEvents 1.0, "id"). */
function messageIdOf(project: string, { attributes }: CloudEvent): string {
  return createHash('sha256')
    .update(JSON.stringify([project, attributes.source, attributes.id]))
    .digest('hex');
}
