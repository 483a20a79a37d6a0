import { createHash } from 'node:crypto';

import { z } from 'zod';

import { eventFilterSchema } from './event-filter.ts';
import { durationSchema } from './quantities.ts';

/** A NATS subject filter: tokens parted by dots, `*` for one, `>` for all that follow. */
const subjectFilter = z
  .string()
  .max(250)
  .regex(
    /^(?:(?:[^\s.*>]+|\*)\.)*(?:[^\s.*>]+|\*|>)$/,
    'must be a subject such as orders.*.created or orders.>',
  );
const subjectFilters = z
  .union([subjectFilter.transform((one) => [one]), z.array(subjectFilter).min(1).max(20)])
  .refine((list) => new Set(list).size === list.length, 'names a subject twice');

const deliverPolicy = z.union([
  z.enum(['all', 'new']),
  z.strictObject({ sequence: z.number().int().min(1) }),
  z.strictObject({ time: z.iso.datetime({ offset: true }) }),
]);

/** What triggers of events share. */
const eventFields = {
  /** Where to begin when the trigger is new. */
  deliver: deliverPolicy.default('new'),
  filter: eventFilterSchema.optional(),
  /** Events handed over together: as many as `size`, or as came `within` the first. */
  batch: z
    .strictObject({
      size: z.number().int().min(2).max(1000),
      within: durationSchema
        .refine((ms) => ms >= 1 && ms <= 60_000, 'must be between 1ms and 1m')
        .default(100),
    })
    .optional(),
  /** An attribute; events with the same value of it are handed over one after the other, in their order. */
  orderBy: z
    .string()
    .regex(/^[a-z0-9]{1,64}$/, 'must be the name of an attribute')
    .optional(),
};

const subjectTrigger = z.strictObject({ subject: subjectFilters, ...eventFields });
const streamTrigger = z.strictObject({
  stream: z.string().regex(/^[A-Za-z0-9_-]{1,120}$/, 'must be the name of a stream'),
  subject: subjectFilters.default(['>']),
  ...eventFields,
});
const scheduleTrigger = z.strictObject({
  /** Cron with five or six fields, or `@every 5m`. */
  schedule: z.string().min(1).max(200),
  timezone: z.string().min(1).max(100).default('UTC'),
  /** When the run before has not ended: begin beside it, or leave this one out. */
  overlap: z.enum(['allow', 'forbid']).default('allow'),
  /** Runs that were due while the platform was away. */
  missed: z.enum(['skip', 'once', 'all']).default('once'),
});

const manifestTrigger = z.record(z.string(), z.unknown()).transform((raw, context): TriggerSettings => {
  const [kind, schema] =
    'schedule' in raw
      ? (['schedule', scheduleTrigger] as const)
      : 'stream' in raw
        ? (['stream', streamTrigger] as const)
        : (['subject', subjectTrigger] as const);
  const result = schema.safeParse(raw);
  if (result.success) {
    const settings = { kind, ...result.data } as TriggerSettings;
    return { ...settings, id: triggerId(settings) };
  }
  context.issues.push(...result.error.issues.map((issue) => ({ ...issue, input: raw }) as never));
  return z.NEVER;
});

/** The key `triggers` of a manifest. */
export const triggersField = z
  .array(manifestTrigger)
  .max(50)
  .default([])
  .refine((list) => new Set(list.map(({ id }) => id)).size === list.length, 'names the same trigger twice');

const eventParts = {
  id: z.string(),
  deliver: deliverPolicy,
  filter: eventFilterSchema.optional(),
  batch: z.object({ size: z.number(), within: z.number() }).optional(),
  orderBy: z.string().optional(),
};
/** What invokes a function besides calls, as it travels in messages; times in milliseconds. */
export const triggerSettingsSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('subject'), subject: z.array(z.string()), ...eventParts }),
  z.object({
    kind: z.literal('stream'),
    stream: z.string(),
    subject: z.array(z.string()),
    ...eventParts,
  }),
  z.object({
    kind: z.literal('schedule'),
    id: z.string(),
    schedule: z.string(),
    timezone: z.string(),
    overlap: z.enum(['allow', 'forbid']),
    missed: z.enum(['skip', 'once', 'all']),
  }),
]);
export type TriggerSettings = z.output<typeof triggerSettingsSchema>;
export type EventTriggerSettings = Exclude<TriggerSettings, { kind: 'schedule' }>;

/**
 * The same as long as it takes the same events: a new revision goes on where the one before was, also when it handles them
 * in another way.
 */
function triggerId(settings: TriggerSettings): string {
  const what =
    settings.kind === 'schedule'
      ? ['schedule', settings.schedule, settings.timezone]
      : [
          settings.kind,
          settings.kind === 'stream' ? settings.stream : '',
          [...settings.subject].sort(),
          settings.deliver,
        ];
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 12);
}

/** The key `delivery` of a manifest. */
export const deliveryFields = z.strictObject({
  /** Tries after the first one. */
  retry: z.number().int().min(0).max(100).default(3),
  backoff: z.enum(['exponential', 'fixed']).default('exponential'),
  delay: durationSchema.default(10_000),
  maxDelay: durationSchema.default(120_000),
  /** An event this old is not tried again. */
  maxAge: durationSchema.default(6 * 3_600_000),
  /** Whether what failed for good is kept. */
  deadLetter: z.boolean().default(true),
});

/** How often and how long an event is tried; milliseconds. */
export const deliverySettingsSchema = z.object({
  retry: z.number(),
  backoff: z.enum(['exponential', 'fixed']),
  delay: z.number(),
  maxDelay: z.number(),
  maxAge: z.number(),
  deadLetter: z.boolean(),
});
export type DeliverySettings = z.output<typeof deliverySettingsSchema>;
/** What invokes a function besides calls, and how. */
export const eventSettingsSchema = z.object({
  triggers: z.array(triggerSettingsSchema),
  delivery: deliverySettingsSchema,
});
export type EventSettings = z.output<typeof eventSettingsSchema>;
export const defaultDelivery: DeliverySettings = deliveryFields.parse({});
