import { z } from 'zod';

import { idSchema, labelSchema, revisionSchema } from './names.ts';
import { callSettings, trafficSchema } from './routes.ts';

/** KV bucket of the machines that can be called now; one that is frozen or stopped is not in it. Key `<project>.<function>.<machine>`, written by the machines room. */
export const endpointsBucket = 'cestx-endpoints';
export const endpointSchema = z.object({
  machine: idSchema,
  revision: revisionSchema,
  address: z.string(),
  /** `draining` takes no new call. */
  state: z.enum(['ready', 'draining']),
  /** Calls at a time; 0 is without a limit. */
  concurrency: z.number(),
});
export type Endpoint = z.output<typeof endpointSchema>;

/** KV bucket of the hostnames; key `<project>.<function>`, written by the routes room. */
export const routesBucket = 'cestx-routes';
export const routeEntrySchema = z.object({
  project: labelSchema,
  function: labelSchema,
  host: z.string(),
  traffic: trafficSchema,
  ...callSettings,
});
export type RouteEntry = z.output<typeof routeEntrySchema>;

/** Asked of every process that calls machines (no queue group): may this machine go? */
export const inFlightSubject = 'cestx.query.invocation.get-in-flight';
export const inFlightRequestSchema = z.object({
  project: labelSchema,
  function: labelSchema,
  machine: idSchema,
});
/** `calls` in flight now; `open` is true while new calls may still be sent there. */
export const inFlightResponseSchema = z.object({ calls: z.number(), open: z.boolean() });

/**
 * What each process that calls machines says every second, also when it has nothing to say: who it is, and the work of every
 * function that had any since its last report. Core NATS, not kept. Whoever did not report for a while is not waited for.
 */
export function activitySubject(caller = '*'): string {
  return `cestx.activity.${caller}`;
}
export const activitySchema = z.object({
  /** The process, as its `$SRV` id or any other token unique to it. */
  caller: z.string(),
  functions: z.array(
    z.object({
      project: labelSchema,
      function: labelSchema,
      /** Calls in flight and held, averaged over the time since the last report. */
      concurrency: z.number(),
      /** Calls held for a machine at this moment. */
      waiting: z.number().int(),
      machines: z.array(
        z.object({
          machine: idSchema,
          /** In flight at this moment. */
          calls: z.number().int(),
          /** Calls that began since the last report. */
          begun: z.number().int(),
        }),
      ),
    }),
  ),
});
export type Activity = z.output<typeof activitySchema>;
