import { z } from 'zod';

import { idSchema, labelSchema, revisionSchema } from './names.ts';
import { trafficSchema } from './routes.ts';

/** KV bucket of the machines that can be called; key `<project>.<function>.<machine>`, written by the machines room. */
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
  /** Milliseconds a call may take. */
  timeout: z.number(),
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
