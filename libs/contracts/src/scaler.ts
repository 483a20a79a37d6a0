import { z } from 'zod';

import { scaleMetrics } from './manifest.ts';
import { event, query } from './message.ts';
import { labelSchema, revisionSchema, timeSchema } from './names.ts';

/** Why a function has as many machines as it has; told when the wanted number changes. */
export const scaleDecisionSchema = z.object({
  project: labelSchema,
  function: labelSchema,
  revision: revisionSchema,
  from: z.number().int(),
  to: z.number().int(),
  metric: z.enum(scaleMetrics),
  /** The average over the window, and over the panic window. */
  value: z.number(),
  panicValue: z.number(),
  target: z.number(),
  panic: z.boolean(),
  reason: z.string(),
});
export type ScaleDecision = z.output<typeof scaleDecisionSchema>;
export const ScaleDecided = event('scaler', 'ScaleDecided', scaleDecisionSchema);

export const scaleDecisionRecordSchema = scaleDecisionSchema.extend({
  at: timeSchema,
  /** How many there were when it was carried out, and what kept it from more; null while it is not. */
  outcome: z.string().nullable(),
});
/** The last decisions on a function, the newest first. */
export const ListScaleDecisions = query(
  'scaler',
  'ListScaleDecisions',
  z.object({
    project: labelSchema,
    function: labelSchema,
    limit: z.number().int().min(1).max(100).default(20),
  }),
  z.object({ items: z.array(scaleDecisionRecordSchema) }),
);
