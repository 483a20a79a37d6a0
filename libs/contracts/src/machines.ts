import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { settingsSchema } from './manifest.ts';
import { command, event, query } from './message.ts';
import { idSchema, labelSchema, revisionSchema, timeSchema } from './names.ts';
import { artifactSchema } from './templates.ts';

export const driverNames = ['docker', 'process'] as const;
export type DriverName = (typeof driverNames)[number];

export const machineStates = [
  'creating',
  'starting',
  'running',
  'frozen',
  'stopped',
  'failed',
  'removed',
] as const;
export const machineSchema = z.object({
  id: idSchema,
  project: labelSchema,
  function: labelSchema,
  revision: revisionSchema,
  driver: z.enum(driverNames),
  state: z.enum(machineStates),
  /** `host:port` when it can be called. */
  address: z.string().nullable(),
  createdAt: timeSchema,
});
export type Machine = z.output<typeof machineSchema>;

export const MachineStarted = event(
  'machines',
  'MachineStarted',
  z.object({ machineId: idSchema, address: z.string(), ms: z.number() }),
);
export const MachineStartFailed = event('machines', 'MachineStartFailed', failureSchema);
/** Creates and starts a machine and waits until it is ready. The same id always means the same machine. */
export const StartMachine = command(
  'machines',
  'StartMachine',
  z.object({
    machineId: idSchema,
    project: labelSchema,
    function: labelSchema,
    revision: revisionSchema,
    artifact: artifactSchema,
    settings: settingsSchema,
  }),
  { done: MachineStarted, failed: MachineStartFailed },
);

export const MachineRemoved = event('machines', 'MachineRemoved', z.object({ machineId: idSchema }));
export const MachineRemoveFailed = event('machines', 'MachineRemoveFailed', failureSchema);
/** Stops and removes one machine. One that never was counts as removed, and can never be started afterwards. */
export const RemoveMachine = command('machines', 'RemoveMachine', z.object({ machineId: idSchema }), {
  done: MachineRemoved,
  failed: MachineRemoveFailed,
});

export const MachinesDrained = event(
  'machines',
  'MachinesDrained',
  z.object({ machineIds: z.array(idSchema) }),
);
export const MachinesDrainFailed = event('machines', 'MachinesDrainFailed', failureSchema);
/** Takes every machine of the function but those of `keepRevision` out of traffic, waits for their calls to end, removes them. */
export const DrainMachines = command(
  'machines',
  'DrainMachines',
  z.object({
    project: labelSchema,
    function: labelSchema,
    keepRevision: revisionSchema.nullable(),
    /** Milliseconds to wait for calls in flight. */
    patience: z.number().int(),
  }),
  { done: MachinesDrained, failed: MachinesDrainFailed },
);

/** A machine ended that should not have. */
export const MachineExited = event(
  'machines',
  'MachineExited',
  z.object({
    machineId: idSchema,
    project: labelSchema,
    function: labelSchema,
    exitCode: z.number().nullable(),
    reason: z.string(),
    lastLines: z.array(z.string()),
  }),
);

export const ListMachines = query(
  'machines',
  'ListMachines',
  z.object({ project: labelSchema.optional(), function: labelSchema.optional() }),
  z.object({ items: z.array(machineSchema) }),
);
/** Which driver this house uses, why, and what it warns of. */
export const driverChoiceSchema = z.object({
  driver: z.enum(driverNames),
  reason: z.string(),
  warning: z.string().nullable(),
});
export const GetDriver = query('machines', 'GetDriver', z.object({}), driverChoiceSchema);
