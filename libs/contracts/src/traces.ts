import { z } from 'zod';

export const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().nullable(),
  service: z.string(),
  name: z.string(),
  kind: z.enum(['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER']),
  startTime: z.iso.datetime(),
  durationMs: z.number(),
  status: z.enum(['UNSET', 'OK', 'ERROR']),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.unknown())])),
});
export type Span = z.output<typeof spanSchema>;
export const spanBatchSchema = z.array(spanSchema);
