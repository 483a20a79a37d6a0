import { z } from 'zod';

export const scalerConfig = z.object({
  /** How often it is decided anew how many machines a function needs. */
  CESTX_SCALE_SECONDS: z.coerce.number().min(0.1).max(60).default(1),
});
export type ScalerConfig = z.output<typeof scalerConfig>;
