import type { NatsConnection } from '@nats-io/transport-node';
import { Svcm, type Service, type ServiceMsg } from '@nats-io/services';
import { context, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';

import {
  asCestxError,
  CestxError,
  errorCodes,
  kebab,
  subjectOf,
  type QueryType,
  type Room,
} from '#contracts';
import { contextOf, inSpan, withRoom } from '#storage';

import { fromHeaders } from './publisher.ts';

type Answer = (request: unknown) => Promise<unknown>;

/** Offers a room's queries as one NATS service (ADR-32), so that `$SRV.PING|INFO|STATS` and `nats micro ls` show it. */
export async function serveQueries(
  connection: NatsConnection,
  room: Room,
  queries: { query: QueryType; answer: Answer }[],
): Promise<Service> {
  const service = await new Svcm(connection).add({
    name: `cestx-${room}`,
    version: '0.1.0',
    description: `The ${room} room of CestX`,
  });
  for (const { query, answer } of queries) {
    service.addEndpoint(kebab(query.name), {
      subject: subjectOf(query),
      handler: (error, message) => {
        if (!error) void respond(room, query, answer, message);
      },
    });
  }
  return service;
}

async function respond(room: Room, query: QueryType, answer: Answer, message: ServiceMsg): Promise<void> {
  const parent = withRoom(contextOf(fromHeaders(message.headers), ROOT_CONTEXT), room);
  const work = async (): Promise<void> => {
    message.respond(JSON.stringify(await answer(read(query, message))));
  };
  const kind = { kind: SpanKind.SERVER, attributes: { 'messaging.system': 'nats' } };
  try {
    // As for the one who asks: a question that belongs to no trace begins none.
    const traced = trace.getSpanContext(parent) !== undefined;
    await context.with(parent, () => (traced ? inSpan(`answer ${message.subject}`, kind, work) : work()));
  } catch (thrown) {
    const error = asCestxError(thrown);
    // A description is a header line; the full text travels in the body.
    message.respondError(errorCodes[error.code].http, error.code, JSON.stringify(error.toFailure()));
  }
}

function read(query: QueryType, message: ServiceMsg): unknown {
  let json: unknown;
  try {
    json = message.json();
  } catch {
    throw new CestxError('invalid-message', `${query.name} is not JSON.`);
  }
  const parsed = query.request.safeParse(json);
  if (!parsed.success)
    throw new CestxError('invalid-message', `${query.name}: ${parsed.error.issues[0]?.message ?? ''}`);
  return parsed.data;
}
