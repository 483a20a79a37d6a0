import { z } from 'zod';

/** Attribute → text it is compared with. Several must all match. */
const comparisons = z
  .record(
    z.string().regex(/^[a-z0-9]{1,64}$/, 'must be the name of an attribute'),
    z.string().min(1).max(1000),
  )
  .refine((record) => Object.keys(record).length > 0, 'must name an attribute');

export interface EventFilter {
  exact?: Record<string, string> | undefined;
  prefix?: Record<string, string> | undefined;
  suffix?: Record<string, string> | undefined;
  all?: EventFilter[] | undefined;
  any?: EventFilter[] | undefined;
  not?: EventFilter | undefined;
}

const maxDepth = 5;

/** Which events a trigger takes, by their attributes (CloudEvents Subscriptions 1.0, "Filter Dialects"). */
export const eventFilterSchema: z.ZodType<EventFilter> = z
  .strictObject({
    exact: comparisons.optional(),
    prefix: comparisons.optional(),
    suffix: comparisons.optional(),
    get all() {
      return z.array(eventFilterSchema).min(1).max(50).optional();
    },
    get any() {
      return z.array(eventFilterSchema).min(1).max(50).optional();
    },
    get not() {
      return eventFilterSchema.optional();
    },
  })
  .refine((filter) => depthOf(filter) <= maxDepth, `must not be nested deeper than ${maxDepth}`);

function depthOf(filter: EventFilter): number {
  const inner = [...(filter.all ?? []), ...(filter.any ?? []), ...(filter.not ? [filter.not] : [])];
  return 1 + Math.max(0, ...inner.map(depthOf));
}
