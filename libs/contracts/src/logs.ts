import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { command, event, query } from './message.ts';
import { idSchema, labelSchema, timeSchema } from './names.ts';

/** One line on the log feed, as a machine or a build said it. */
export const feedLineSchema = z.object({
  project: labelSchema,
  name: labelSchema,
  revision: z.string().nullable(),
  /** A machine id, or `build-<buildId>`. */
  machine: idSchema,
  stream: z.enum(['stdout', 'stderr', 'build']),
  timestamp: timeSchema,
  /** At most 16 KiB; the rest of a longer line follows as the next line. */
  text: z.string(),
  /** Counts the lines of one machine from 1, so that a reader sees gaps and repetitions. */
  position: z.number().int(),
});
export type FeedLine = z.output<typeof feedLineSchema>;

/** One kept line; `cursor` grows and never repeats. */
export const logLineSchema = z.object({
  name: labelSchema,
  revision: z.string().nullable(),
  machine: idSchema,
  stream: z.enum(['stdout', 'stderr', 'build']),
  timestamp: timeSchema,
  text: z.string(),
  callId: z.string().optional(),
  traceId: z.string().optional(),
  cursor: z.string(),
});
export type LogLine = z.output<typeof logLineSchema>;

const functionKey = { project: labelSchema, function: labelSchema };
export const LogsSubscribed = event('logs', 'LogsSubscribed', z.object({ created: z.boolean() }));
export const LogsSubscribeFailed = event('logs', 'LogsSubscribeFailed', failureSchema);
/** Keeps the lines of a function from the first its feed still has. */
export const SubscribeLogs = command(
  'logs',
  'SubscribeLogs',
  z.object({ ...functionKey, deploymentId: idSchema }),
  {
    done: LogsSubscribed,
    failed: LogsSubscribeFailed,
  },
);

export const LogsUnsubscribed = event('logs', 'LogsUnsubscribed', z.object({}));
export const LogsUnsubscribeFailed = event('logs', 'LogsUnsubscribeFailed', failureSchema);
/** Ends the subscription and, when the function goes away (`createdBy` null), forgets its lines; else only a subscription that deployment created. */
export const UnsubscribeLogs = command(
  'logs',
  'UnsubscribeLogs',
  z.object({ ...functionKey, createdBy: idSchema.nullable() }),
  { done: LogsUnsubscribed, failed: LogsUnsubscribeFailed },
);

/** Kept lines in order. With `after` only those behind that cursor; with `waitMs` it waits that long for the first. */
export const ListLogLines = query(
  'logs',
  'ListLogLines',
  z.object({
    ...functionKey,
    machine: idSchema.optional(),
    since: timeSchema.optional(),
    tail: z.number().int().min(0).max(10_000).optional(),
    after: z.string().optional(),
    limit: z.number().int().min(1).max(1000).default(200),
    waitMs: z.number().int().min(0).max(20_000).default(0),
  }),
  z.object({ items: z.array(logLineSchema), nextCursor: z.string().nullable() }),
);
