import { z } from 'zod';

const days = z.coerce.number().positive().max(3650);

export const logsConfig = z.object({
  /** How long lines are kept while their function is subscribed to. */
  CESTX_LOGS_KEEP_DAYS: days.default(7),
  /** The same without a subscription: a build or a start that failed has only such lines. */
  CESTX_LOGS_KEEP_UNSUBSCRIBED_DAYS: days.default(1),
  /** The newest lines of one function that are kept, so that one which prints without end does not fill the disk. */
  CESTX_LOGS_LINES_PER_FUNCTION: z.coerce.number().int().min(1).default(100_000),
  CESTX_LOGS_PRUNE_SECONDS: z.coerce.number().positive().max(86_400).default(600),
});
export type LogsConfig = z.output<typeof logsConfig>;
