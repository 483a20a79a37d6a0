import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { command, event, query } from './message.ts';
import { idSchema, labelSchema, timeSchema } from './names.ts';
import { deliverySettingsSchema, eventSettingsSchema, triggerSettingsSchema } from './trigger-settings.ts';

/** The subject a user event of a project travels on; `topic` has dots of its own. */
export function appSubject(project: string, topic = '>'): string {
  return `cestx.app.${project}.${topic}`;
}

export const callKinds = ['async', 'tick', 'redrive', 'replay'] as const;
export type CallKind = (typeof callKinds)[number];
/** The subject of work that is for one function only and waits for it: asynchronous calls, ticks, redriven and replayed events. */
export function callSubject(
  project: string,
  functionName: string,
  kind: CallKind | '*' = '*',
  id = '*',
): string {
  return `cestx.call.${project}.${functionName}.${kind}.${id}`;
}

/** KV bucket of the consumers that hold work for functions. Key `<project>.<function>`, written by the triggers room. */
export const triggersBucket = 'cestx-triggers';
export const triggerEntrySchema = z.object({
  project: labelSchema,
  function: labelSchema,
  delivery: deliverySettingsSchema,
  consumers: z.array(
    z.object({
      stream: z.string(),
      durable: z.string(),
      /** Null for the work that is for this function only. */
      trigger: triggerSettingsSchema.nullable(),
      paused: z.boolean(),
    }),
  ),
});
export type TriggerEntry = z.output<typeof triggerEntrySchema>;

const functionKey = { project: labelSchema, function: labelSchema };

export const TriggersSet = event('triggers', 'TriggersSet', z.object({ triggers: z.number().int() }));
export const TriggersSetFailed = event('triggers', 'TriggersSetFailed', failureSchema);
/** From now on the function has these triggers and no others; those it had already go on where they are. */
export const SetTriggers = command(
  'triggers',
  'SetTriggers',
  z.object({
    ...functionKey,
    ...eventSettingsSchema.shape,
  }),
  { done: TriggersSet, failed: TriggersSetFailed },
);

export const TriggersRemoved = event('triggers', 'TriggersRemoved', z.object({}));
export const TriggersRemoveFailed = event('triggers', 'TriggersRemoveFailed', failureSchema);
/** Removes the function's triggers and the work that waits for it alone; its dead letters stay. */
export const RemoveTriggers = command('triggers', 'RemoveTriggers', z.object(functionKey), {
  done: TriggersRemoved,
  failed: TriggersRemoveFailed,
});

export const triggerSchema = z.object({
  id: idSchema,
  ...functionKey,
  settings: triggerSettingsSchema,
  state: z.enum(['active', 'paused', 'broken']),
  /** Why it is broken, for people. */
  reason: z.string().nullable(),
  /** Events that wait, and that are being handled now; null while this cannot be known. */
  waiting: z.number().int().nullable(),
  working: z.number().int().nullable(),
  /** When a schedule is due next. */
  nextAt: timeSchema.nullable(),
  createdAt: timeSchema,
});
export type Trigger = z.output<typeof triggerSchema>;
export const ListTriggers = query(
  'triggers',
  'ListTriggers',
  z.object({ project: labelSchema, function: labelSchema.optional() }),
  z.object({ items: z.array(triggerSchema), nextCursor: z.string().nullable() }),
);

export const TriggerPaused = event('triggers', 'TriggerPaused', z.object({ paused: z.boolean() }));
export const TriggerPauseFailed = event('triggers', 'TriggerPauseFailed', failureSchema);
/** Stops handing over what a trigger brings, or goes on; nothing is lost meanwhile. */
export const PauseTrigger = command(
  'triggers',
  'PauseTrigger',
  z.object({ ...functionKey, triggerId: idSchema, paused: z.boolean() }),
  { done: TriggerPaused, failed: TriggerPauseFailed },
);

/** When a schedule would be due. Throws `bad-request` for what is no schedule. */
export const PreviewSchedule = query(
  'triggers',
  'PreviewSchedule',
  z.object({
    schedule: z.string().max(200),
    timezone: z.string().max(100).default('UTC'),
    count: z.number().int().min(1).max(50).default(5),
  }),
  z.object({ items: z.array(timeSchema) }),
);

export const deadLetterReasons = [
  'rejected',
  'attempts-used-up',
  'too-old',
  'invalid-event',
  'loop',
] as const;
export const deadLetterSchema = z.object({
  id: idSchema,
  ...functionKey,
  /** The trigger that brought it; null for an asynchronous call. */
  trigger: idSchema.nullable(),
  eventId: z.string(),
  eventType: z.string(),
  reason: z.enum(deadLetterReasons),
  /** What went wrong, for people. */
  message: z.string(),
  attempts: z.number().int(),
  /** The last answer of the function. */
  lastStatus: z.number().int().nullable(),
  /** The first KiB of the last answer. */
  lastBody: z.string().nullable(),
  subject: z.string(),
  stream: z.string(),
  sequence: z.number().int(),
  traceId: z.string().nullable(),
  receivedAt: timeSchema,
  diedAt: timeSchema,
});
export type DeadLetter = z.output<typeof deadLetterSchema>;
/** A dead letter with what it holds: the original headers and bytes. */
export const deadLetterContentSchema = deadLetterSchema.extend({
  headers: z.record(z.string(), z.string()),
  dataBase64: z.string(),
});

/** Which dead letters: all that match everything named. */
export const deadLetterFilterSchema = z.object({
  project: labelSchema,
  id: idSchema.optional(),
  function: labelSchema.optional(),
  reason: z.enum(deadLetterReasons).optional(),
});

export const ListDeadLetters = query(
  'triggers',
  'ListDeadLetters',
  deadLetterFilterSchema.extend({
    limit: z.number().int().min(1).max(500).default(100),
    cursor: z.string().optional(),
  }),
  z.object({ items: z.array(deadLetterSchema), nextCursor: z.string().nullable() }),
);
export const GetDeadLetter = query(
  'triggers',
  'GetDeadLetter',
  z.object({ project: labelSchema, id: idSchema }),
  deadLetterContentSchema,
);

export const DeadLettersRedriven = event(
  'triggers',
  'DeadLettersRedriven',
  z.object({ redriven: z.number().int() }),
);
export const DeadLettersRedriveFailed = event('triggers', 'DeadLettersRedriveFailed', failureSchema);
/** Hands dead letters to their functions again, with all their attempts anew, at most `perSecond`; each goes from the list as it does. */
export const RedriveDeadLetters = command(
  'triggers',
  'RedriveDeadLetters',
  deadLetterFilterSchema.extend({ perSecond: z.number().min(0.1).max(10_000).default(100) }),
  { done: DeadLettersRedriven, failed: DeadLettersRedriveFailed },
);

export const DeadLettersPurged = event(
  'triggers',
  'DeadLettersPurged',
  z.object({ purged: z.number().int() }),
);
export const DeadLettersPurgeFailed = event('triggers', 'DeadLettersPurgeFailed', failureSchema);
/** Deletes dead letters for good. */
export const PurgeDeadLetters = command('triggers', 'PurgeDeadLetters', deadLetterFilterSchema, {
  done: DeadLettersPurged,
  failed: DeadLettersPurgeFailed,
});

/** An event became a dead letter, or would have if the function kept them. */
export const EventDied = event('triggers', 'EventDied', deadLetterSchema.extend({ kept: z.boolean() }));
