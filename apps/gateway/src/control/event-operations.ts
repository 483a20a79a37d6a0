import { z } from 'zod';

import { deadLetterContentSchema, deadLetterReasons, idSchema, labelSchema, timeSchema } from '#contracts';

import { namedSchemas } from './named-schemas.ts';
import { inProject, json, none, page, project } from './operation-inputs.ts';
import { operation } from './operation.ts';

const deadLetterFilter = {
  project,
  id: idSchema.optional(),
  function: labelSchema.optional(),
  reason: z.enum(deadLetterReasons).optional(),
};
const trigger = z.object({ name: labelSchema, trigger: idSchema });
const paused = {
  params: trigger,
  query: inProject,
  status: 200,
  answers: { [json]: z.object({ paused: z.boolean() }) },
  errors: ['bad-request', 'not-found', 'unavailable'],
} as const;

/** Control calls about events: publishing them, what they invoke, and what became of those that failed. */
export const eventOperations = {
  publishEvents: operation({
    method: 'POST',
    path: '/v1/events',
    tag: 'events',
    summary: 'Publish events',
    description:
      'A CloudEvent in binary mode (`ce-` headers) or structured (`application/cloudevents+json`), or several ' +
      '(`application/cloudevents-batch+json`). It is published on `cestx.app.<project>.<type>`; the answer comes once the broker ' +
      'has stored all of them. An event with the source and id of one before is stored once.',
    params: none,
    query: inProject,
    status: 202,
    answers: { [json]: z.object({ items: z.array(z.object({ id: z.string(), subject: z.string() })) }) },
    errors: ['bad-request', 'invalid-event', 'too-large', 'unavailable'],
  }),
  listTriggers: operation({
    method: 'GET',
    path: '/v1/triggers',
    tag: 'events',
    summary: 'List triggers',
    params: none,
    query: z.object({ project, function: labelSchema.optional() }),
    status: 200,
    answers: { [json]: namedSchemas.TriggerList },
    errors: ['bad-request', 'unavailable'],
  }),
  pauseTrigger: operation({
    method: 'POST',
    path: '/v1/functions/:name/triggers/:trigger/pause',
    tag: 'events',
    summary: 'Pause a trigger',
    description: 'Its events wait; ticks of a schedule are left out.',
    ...paused,
  }),
  resumeTrigger: operation({
    method: 'POST',
    path: '/v1/functions/:name/triggers/:trigger/resume',
    tag: 'events',
    summary: 'Resume a trigger',
    ...paused,
  }),
  previewSchedule: operation({
    method: 'GET',
    path: '/v1/schedules/preview',
    tag: 'events',
    summary: 'When a schedule would be due',
    params: none,
    query: z.object({
      schedule: z.string().max(200),
      timezone: z.string().max(100).default('UTC'),
      count: z.coerce.number().int().min(1).max(50).default(5),
    }),
    status: 200,
    answers: { [json]: z.object({ items: z.array(timeSchema) }) },
    errors: ['bad-request', 'unavailable'],
  }),
  listDeadLetters: operation({
    method: 'GET',
    path: '/v1/dead-letters',
    tag: 'events',
    summary: 'List dead letters, the newest first',
    params: none,
    query: page.extend(deadLetterFilter),
    status: 200,
    answers: { [json]: namedSchemas.DeadLetterList },
    errors: ['bad-request', 'unavailable'],
  }),
  getDeadLetter: operation({
    method: 'GET',
    path: '/v1/dead-letters/:id',
    tag: 'events',
    summary: 'One dead letter, with the original headers and bytes',
    params: z.object({ id: idSchema }),
    query: inProject,
    status: 200,
    answers: { [json]: deadLetterContentSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  redriveDeadLetters: operation({
    method: 'POST',
    path: '/v1/dead-letters/redrive',
    tag: 'events',
    summary: 'Hand dead letters to their functions again',
    description: 'All that match everything named. The answer comes once the order is stored.',
    params: none,
    query: z.object({ ...deadLetterFilter, perSecond: z.coerce.number().min(0.1).max(10_000).default(100) }),
    status: 202,
    answers: { [json]: z.object({ accepted: z.literal(true) }) },
    errors: ['bad-request', 'unavailable'],
  }),
  purgeDeadLetters: operation({
    method: 'DELETE',
    path: '/v1/dead-letters',
    tag: 'events',
    summary: 'Delete dead letters for good',
    description: 'All that match everything named.',
    params: none,
    query: z.object(deadLetterFilter),
    status: 200,
    answers: { [json]: z.object({ purged: z.number().int() }) },
    errors: ['bad-request', 'unavailable'],
  }),
};
