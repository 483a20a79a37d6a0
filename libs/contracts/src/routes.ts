import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { scaleSettingsSchema } from './manifest.ts';
import { command, event, query } from './message.ts';
import { idSchema, labelSchema, revisionSchema } from './names.ts';

export const trafficSchema = z.array(
  z.object({ revision: revisionSchema, percent: z.number().min(0).max(100) }),
);
export type Traffic = z.output<typeof trafficSchema>;

/** How calls of a function are treated, whichever revision they go to. */
export const callSettings = {
  /** Milliseconds a call may take. */
  timeout: z.number(),
  /** Calls one machine takes at a time; 0 is without a limit. */
  concurrency: z.number(),
  scale: scaleSettingsSchema,
};

const routeKey = { project: labelSchema, function: labelSchema };
export const routeSchema = z.object({
  ...routeKey,
  host: z.string(),
  traffic: trafficSchema,
});
export type Route = z.output<typeof routeSchema>;

export const RouteRegistered = event(
  'routes',
  'RouteRegistered',
  z.object({ host: z.string(), created: z.boolean() }),
);
export const RouteRegisterFailed = event('routes', 'RouteRegisterFailed', failureSchema);
/** Gives the function its hostname and DNS record. It carries no traffic until ShiftTraffic. */
export const RegisterRoute = command(
  'routes',
  'RegisterRoute',
  z.object({ ...routeKey, deploymentId: idSchema }),
  { done: RouteRegistered, failed: RouteRegisterFailed },
);

export const RouteWithdrawn = event('routes', 'RouteWithdrawn', z.object({ withdrawn: z.boolean() }));
export const RouteWithdrawFailed = event('routes', 'RouteWithdrawFailed', failureSchema);
/** Removes hostname and DNS record; with `createdBy` only when that deployment created them. */
export const WithdrawRoute = command(
  'routes',
  'WithdrawRoute',
  z.object({ ...routeKey, createdBy: idSchema.nullable() }),
  { done: RouteWithdrawn, failed: RouteWithdrawFailed },
);

export const TrafficShifted = event('routes', 'TrafficShifted', z.object({ previous: trafficSchema }));
export const TrafficShiftFailed = event('routes', 'TrafficShiftFailed', failureSchema);
/** Sends the function's traffic to these revisions from now on. */
export const ShiftTraffic = command(
  'routes',
  'ShiftTraffic',
  z.object({ ...routeKey, traffic: trafficSchema, ...callSettings }),
  {
    done: TrafficShifted,
    failed: TrafficShiftFailed,
  },
);

export const TrafficRestored = event('routes', 'TrafficRestored', z.object({}));
export const TrafficRestoreFailed = event('routes', 'TrafficRestoreFailed', failureSchema);
/** Undoes a ShiftTraffic: takes `revision` out of traffic and gives the function back to `previous`. */
export const RestoreTraffic = command(
  'routes',
  'RestoreTraffic',
  z.object({
    ...routeKey,
    revision: revisionSchema,
    previous: revisionSchema.nullable(),
    ...callSettings,
  }),
  { done: TrafficRestored, failed: TrafficRestoreFailed },
);

export const ListRoutes = query(
  'routes',
  'ListRoutes',
  z.object({ project: labelSchema.optional() }),
  z.object({ items: z.array(routeSchema) }),
);
