import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { settingsSchema } from './manifest.ts';
import { endpointSchema } from './endpoints.ts';
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
  /** When it got into this state, and why, for people. */
  since: timeSchema,
  reason: z.string().nullable(),
  expiresAt: timeSchema.nullable(),
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
export const RemoveMachine = command(
  'machines',
  'RemoveMachine',
  z.object({
    machineId: idSchema,
    /** Others can still be made of its revision; without it the removal of the first one undoes that the revision came here. */
    keepRevision: z.boolean().optional(),
  }),
  { done: MachineRemoved, failed: MachineRemoveFailed },
);

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

/**
 * Asks for a machine of a function that has none that can be called; answered when one can. However many ask, one machine is
 * woken: a frozen one is thawed, else a stopped one started, else one created. Asking again is harmless.
 * Fails with `not-found` (no such revision), `no-capacity`, `over-quota` or `start-failed`.
 */
export const WakeFunction = query(
  'machines',
  'WakeFunction',
  z.object({ project: labelSchema, function: labelSchema, revision: revisionSchema }),
  z.object({
    endpoint: endpointSchema,
    /** How it was woken; `running` when there was one after all. */
    from: z.enum(['running', 'frozen', 'stopped', 'absent']),
    ms: z.number(),
  }),
);

export const MachinesAdjusted = event(
  'machines',
  'MachinesAdjusted',
  z.object({ machines: z.number().int(), reason: z.string().nullable() }),
);
export const MachinesAdjustFailed = event('machines', 'MachinesAdjustFailed', failureSchema);
/**
 * Brings the number of running machines of a revision to `machines`: up by waking and creating as far as there is room, down by
 * draining the surplus and putting it to rest. `done` says how many there are now and what kept it from more.
 */
export const AdjustMachines = command(
  'machines',
  'AdjustMachines',
  z.object({
    project: labelSchema,
    function: labelSchema,
    revision: revisionSchema,
    machines: z.number().int().min(0),
    reason: z.string(),
  }),
  { done: MachinesAdjusted, failed: MachinesAdjustFailed },
);

export const MachineMoved = event(
  'machines',
  'MachineMoved',
  z.object({ machineId: idSchema, state: z.enum(machineStates) }),
);
export const MachineMoveFailed = event('machines', 'MachineMoveFailed', failureSchema);
/** A user wants a machine in another tier now. Calls in flight are waited for; a call wakes it again like any other. */
export const MoveMachine = command(
  'machines',
  'MoveMachine',
  z.object({ machineId: idSchema, to: z.enum(['running', 'frozen', 'stopped']) }),
  { done: MachineMoved, failed: MachineMoveFailed },
);

/** A machine got into another state; `machine` is the whole record after it. */
export const MachineChanged = event('machines', 'MachineChanged', machineSchema);

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

export const GetMachine = query('machines', 'GetMachine', z.object({ machineId: idSchema }), machineSchema);
/** Answers when the machine is in this state; `wait-timeout` when it is not in time. */
export const WaitForMachine = query(
  'machines',
  'WaitForMachine',
  z.object({
    machineId: idSchema,
    state: z.enum(machineStates),
    timeoutMs: z.number().int().min(0).max(60_000),
  }),
  machineSchema,
);

/** What a machine used, every few seconds while it runs; what it says of rates is over the time since the sample before. */
export const machineSampleSchema = z.object({
  machine: idSchema,
  revision: revisionSchema,
  at: timeSchema,
  /** Since it was started. */
  cpuSeconds: z.number(),
  /** Cores in use; null in the first sample. */
  cpu: z.number().nullable(),
  memoryBytes: z.number(),
  memoryLimitBytes: z.number(),
  processes: z.number().int(),
});
export type MachineSample = z.output<typeof machineSampleSchema>;
export const ListMachineSamples = query(
  'machines',
  'ListMachineSamples',
  z.object({
    machineId: idSchema,
    since: timeSchema.optional(),
    limit: z.number().int().min(1).max(20_000).default(1000),
  }),
  z.object({ items: z.array(machineSampleSchema) }),
);

/** What the host may give to machines and what is given. */
export const capacitySchema = z.object({
  memoryBytes: z.object({ total: z.number(), used: z.number() }),
  cpu: z.object({ total: z.number(), used: z.number() }),
  machines: z.object({ total: z.number(), used: z.number() }),
  /** Of the data folder, whoever fills it. */
  diskBytes: z.object({ total: z.number(), used: z.number() }),
});
export const GetCapacity = query('machines', 'GetCapacity', z.object({}), capacitySchema);

export const ListMachines = query(
  'machines',
  'ListMachines',
  z.object({
    project: labelSchema.optional(),
    function: labelSchema.optional(),
    /** All when left out. */
    limit: z.number().int().min(1).optional(),
    cursor: z.string().optional(),
  }),
  z.object({ items: z.array(machineSchema), nextCursor: z.string().nullable() }),
);
/** Which driver this house uses, why, and what it warns of. */
export const driverChoiceSchema = z.object({
  driver: z.enum(driverNames),
  reason: z.string(),
  warning: z.string().nullable(),
});
export const GetDriver = query('machines', 'GetDriver', z.object({}), driverChoiceSchema);
