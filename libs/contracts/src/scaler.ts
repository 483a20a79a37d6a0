import { z } from 'zod';

import { event } from './message.ts';
import { labelSchema, revisionSchema } from './names.ts';

/** Why a function has as many machines as it has; told when the wanted number changes. */
export const scaleDecisionSchema = z.object({
  project: labelSchema,
  function: labelSchema,
  revision: revisionSchema,
  from: z.number().int(),
  to: z.number().int(),
  metric: z.enum(['concurrency']),
  /** The average over the window, and over the panic window. */
  value: z.number(),
  panicValue: z.number(),
  target: z.number(),
  panic: z.boolean(),
  reason: z.string(),
});
export type ScaleDecision = z.output<typeof scaleDecisionSchema>;
export const ScaleDecided = event('scaler', 'ScaleDecided', scaleDecisionSchema);
