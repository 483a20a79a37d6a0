import { z } from 'zod';

export const triggersConfig = z.object({
  /** Events handed to one machine at a time when its function has no `concurrency`. */
  CESTX_EVENTS_PER_MACHINE: z.coerce.number().int().min(1).max(10_000).default(64),
  /** Functions that answer events with events may do so this many times in a row. */
  CESTX_EVENT_DEPTH: z.coerce.number().int().min(1).max(1000).default(8),
  /** Milliseconds an event waits for a machine before it is put back into its stream. */
  CESTX_EVENT_HOLD_MS: z.coerce.number().int().min(100).max(600_000).default(60_000),
  /** Traces that may begin here each second; one that an event brings along is always followed. */
  CESTX_TRACES_PER_SECOND: z.coerce.number().int().min(0).default(50),
});
export type TriggersConfig = z.output<typeof triggersConfig>;
