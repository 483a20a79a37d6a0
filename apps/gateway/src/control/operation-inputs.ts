import { z } from 'zod';

import { idSchema, labelSchema, timeSchema } from '#contracts';

export const json = 'application/json';
export const ndjson = 'application/x-ndjson';
export const eventStream = 'text/event-stream';

export const none = z.object({});
/** The header X-Cestx-Project stands in for a missing `project`. */
export const project = labelSchema.default('default');
export const inProject = z.object({ project });
export const page = z.object({
  project,
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(500).optional(),
});
export const named = z.object({ name: labelSchema });
export const byId = z.object({ id: idSchema });

const ago = /^([0-9]+)(ms|s|m|h|d)$/;
const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** A time, or how long ago: `5m`. */
export const sinceSchema = z
  .string()
  .refine(
    (text) => ago.test(text) || timeSchema.safeParse(text).success,
    'must be an ISO time, or a duration such as 5m',
  )
  .transform((text) => {
    const [, number, unit] = ago.exec(text) ?? [];
    if (!number || !unit) return text;
    return new Date(Date.now() - Number(number) * units[unit as keyof typeof units]).toISOString();
  });

/** How long to wait: a duration such as `30s`, or a number of seconds; at most a minute. */
export const timeoutSchema = z
  .string()
  .default('30s')
  .transform((text) => {
    const [, number, unit = 's'] = /^([0-9]+)(ms|s|m)?$/.exec(text) ?? [];
    return number === undefined ? Number.NaN : Number(number) * units[unit as keyof typeof units];
  })
  .refine((ms) => ms <= 60_000, 'must be a duration such as 500ms or 30s, and at most 1m');
