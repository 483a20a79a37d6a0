import { z } from 'zod';

import {
  capacitySchema,
  deploymentErrorSchema,
  driverChoiceSchema,
  deploymentSchema,
  functionSchema,
  healthSchema,
  idSchema,
  labelSchema,
  logLineSchema,
  machineSampleSchema,
  machineSchema,
  machineStates,
  revisionRecordSchema,
  routeSchema,
  scaleChangeSchema,
  spanSchema,
  stepSchema,
  timeSchema,
} from '#contracts';

import { operation } from './operation.ts';

const json = 'application/json';
const eventStream = 'text/event-stream';

export const acceptedSchema = z.object({
  deploymentId: idSchema,
  function: labelSchema,
  statusUrl: z.string(),
  eventsUrl: z.string(),
  traceId: z.string().nullable(),
});
export const traceSchema = z.object({ traceId: z.string(), spans: z.array(spanSchema) });
export const platformHealthSchema = z.object({ ready: z.boolean(), rooms: z.array(healthSchema) });
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  help: z.string(),
  traceId: z.string().optional(),
  lastLines: z.array(z.string()).optional(),
});
const listOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** Schemas that have a name of their own in /openapi.json and in the client. */
export const namedSchemas = {
  Accepted: acceptedSchema,
  Capacity: capacitySchema,
  Deployment: deploymentSchema,
  DeploymentError: deploymentErrorSchema,
  DriverChoice: driverChoiceSchema,
  FunctionDescription: functionSchema,
  FunctionList: listOf(functionSchema),
  LogLine: logLineSchema,
  Machine: machineSchema,
  MachineList: listOf(machineSchema),
  MachineSample: machineSampleSchema,
  MachineSampleList: listOf(machineSampleSchema),
  PlatformHealth: platformHealthSchema,
  Problem: problemSchema,
  RevisionDescription: revisionRecordSchema,
  RevisionList: listOf(revisionRecordSchema),
  RoomHealth: healthSchema,
  Route: routeSchema,
  RouteList: listOf(routeSchema),
  Span: spanSchema,
  Step: stepSchema,
  Trace: traceSchema,
} as const;

const none = z.object({});
/** The header X-Cestx-Project stands in for a missing `project`. */
const project = labelSchema.default('default');
const inProject = z.object({ project });
const page = z.object({
  project,
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(500).optional(),
});
const named = z.object({ name: labelSchema });
const byId = z.object({ id: idSchema });
const ndjson = 'application/x-ndjson';

const ago = /^([0-9]+)(ms|s|m|h|d)$/;
const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** A time, or how long ago: `5m`. */
const sinceSchema = z
  .string()
  .refine(
    (text) => ago.test(text) || timeSchema.safeParse(text).success,
    'must be an ISO time, or a duration such as 5m',
  )
  .transform((text) => {
    const [, number, unit] = ago.exec(text) ?? [];
    if (!number || !unit) return text;
    return new Date(Date.now() - Number(number) * units[unit as keyof typeof units]).toISOString();
  });

/** How long to wait: a duration such as `30s`, or a number of seconds; at most a minute. */
const timeoutSchema = z
  .string()
  .default('30s')
  .transform((text) => {
    const [, number, unit = 's'] = /^([0-9]+)(ms|s|m)?$/.exec(text) ?? [];
    return number === undefined ? Number.NaN : Number(number) * units[unit as keyof typeof units];
  })
  .refine((ms) => ms <= 60_000, 'must be a duration such as 500ms or 30s, and at most 1m');

export const operations = {
  deployFunction: operation({
    method: 'POST',
    path: '/v1/functions',
    tag: 'functions',
    summary: 'Deploy a function',
    description:
      'Hands in source; the answer comes once the order is stored, the deployment then tells how it goes.',
    params: none,
    query: inProject,
    parts: {
      source: { required: true, binary: true, description: 'The source, as tar.gz or zip.' },
      manifest: {
        required: false,
        binary: false,
        description: 'The text of function.yaml; else that of the source is read.',
      },
    },
    status: 202,
    answers: { [json]: acceptedSchema },
    errors: ['bad-request', 'invalid-manifest', 'invalid-archive', 'too-large', 'unavailable'],
  }),
  listFunctions: operation({
    method: 'GET',
    path: '/v1/functions',
    tag: 'functions',
    summary: 'List the functions of a project',
    params: none,
    query: page,
    status: 200,
    answers: { [json]: namedSchemas.FunctionList },
    errors: ['bad-request', 'unavailable'],
  }),
  getFunction: operation({
    method: 'GET',
    path: '/v1/functions/:name',
    tag: 'functions',
    summary: 'Describe a function',
    params: named,
    query: inProject,
    status: 200,
    answers: { [json]: functionSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  removeFunction: operation({
    method: 'DELETE',
    path: '/v1/functions/:name',
    tag: 'functions',
    summary: 'Remove a function and everything it has',
    params: named,
    query: inProject,
    status: 202,
    answers: { [json]: acceptedSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  changeScale: operation({
    method: 'PATCH',
    path: '/v1/functions/:name/scale',
    tag: 'functions',
    summary: 'Change how a live function scales and rests',
    description:
      'What is left out stays, null takes a setting away. It holds from now on, without a new revision, until the next deployment brings what its manifest says.',
    params: named,
    query: inProject,
    body: scaleChangeSchema,
    status: 202,
    answers: { [json]: acceptedSchema },
    errors: ['bad-request', 'not-found', 'conflict', 'unavailable'],
  }),
  listRevisions: operation({
    method: 'GET',
    path: '/v1/functions/:name/revisions',
    tag: 'functions',
    summary: 'List the revisions of a function',
    params: named,
    query: page,
    status: 200,
    answers: { [json]: namedSchemas.RevisionList },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  getLogs: operation({
    method: 'GET',
    path: '/v1/functions/:name/logs',
    tag: 'functions',
    summary: 'Read or follow the log of a function',
    description: 'One JSON object a line, or server-sent events when `Accept` asks for them.',
    params: named,
    query: z.object({
      project,
      follow: z.stringbool().default(false),
      since: sinceSchema.optional(),
      tail: z.coerce.number().int().min(0).max(10_000).optional(),
      machine: idSchema.optional(),
      after: z.string().max(100).optional(),
    }),
    status: 200,
    answers: { [ndjson]: logLineSchema, [eventStream]: null },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  getDeployment: operation({
    method: 'GET',
    path: '/v1/deployments/:id',
    tag: 'deployments',
    summary: 'One deployment, with each of its steps',
    params: byId,
    query: none,
    status: 200,
    answers: { [json]: deploymentSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  followDeployment: operation({
    method: 'GET',
    path: '/v1/deployments/:id/events',
    tag: 'deployments',
    summary: 'Follow a deployment',
    description:
      'Server-sent events `deployment`: the present state at once, then each change, until the last.',
    params: byId,
    query: none,
    status: 200,
    answers: { [eventStream]: null },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  cancelDeployment: operation({
    method: 'POST',
    path: '/v1/deployments/:id/cancel',
    tag: 'deployments',
    summary: 'Cancel a deployment',
    description:
      'One that is not live yet ends `failed` with the code `cancelled` after what it did was undone; one that is live, has ended or is a removal is left alone. The answer comes once the order is stored.',
    params: byId,
    query: none,
    status: 202,
    answers: { [json]: acceptedSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  listMachines: operation({
    method: 'GET',
    path: '/v1/machines',
    tag: 'machines',
    summary: 'List machines',
    params: none,
    query: z.object({ project, function: labelSchema.optional() }),
    status: 200,
    answers: { [json]: namedSchemas.MachineList },
    errors: ['bad-request', 'unavailable'],
  }),
  getMachine: operation({
    method: 'GET',
    path: '/v1/machines/:id',
    tag: 'machines',
    summary: 'Describe a machine',
    params: byId,
    query: none,
    status: 200,
    answers: { [json]: machineSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  removeMachine: operation({
    method: 'DELETE',
    path: '/v1/machines/:id',
    tag: 'machines',
    summary: 'Remove a machine',
    description: 'Its function gets another one with the next call, or at once when `scale.min` asks for it.',
    params: byId,
    query: none,
    status: 200,
    answers: { [json]: machineSchema },
    errors: ['bad-request', 'not-found', 'timed-out', 'unavailable'],
  }),
  waitForMachine: operation({
    method: 'GET',
    path: '/v1/machines/:id/wait',
    tag: 'machines',
    summary: 'Wait until a machine is in a state',
    description: 'Answers the instant it is; 408 when it is not in time.',
    params: byId,
    query: z.object({ state: z.enum(machineStates).default('running'), timeout: timeoutSchema }),
    status: 200,
    answers: { [json]: machineSchema },
    errors: ['bad-request', 'not-found', 'wait-timeout', 'unavailable'],
  }),
  getMachineStats: operation({
    method: 'GET',
    path: '/v1/machines/:id/stats',
    tag: 'machines',
    summary: 'What a machine used',
    description:
      'Samples of the last day, oldest first, at most the newest `limit` of them; also of a machine that is gone. With `follow` also each new one as it comes: one JSON object a line, or server-sent events `sample` when `Accept` asks for them.',
    params: byId,
    query: z.object({
      since: sinceSchema.optional(),
      limit: z.coerce.number().int().min(1).max(20_000).default(1000),
      follow: z.stringbool().default(false),
    }),
    status: 200,
    answers: { [json]: namedSchemas.MachineSampleList, [ndjson]: machineSampleSchema, [eventStream]: null },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  getCapacity: operation({
    method: 'GET',
    path: '/v1/capacity',
    tag: 'machines',
    summary: 'What the host may give to machines, and what is given',
    description: 'Limits of the machines that run or are frozen, not what they use; the disk is measured.',
    params: none,
    query: none,
    status: 200,
    answers: { [json]: capacitySchema },
    errors: ['unavailable'],
  }),
  getDriver: operation({
    method: 'GET',
    path: '/v1/driver',
    tag: 'machines',
    summary: 'What functions run on, and why',
    params: none,
    query: none,
    status: 200,
    answers: { [json]: driverChoiceSchema },
    errors: ['unavailable'],
  }),
  listRoutes: operation({
    method: 'GET',
    path: '/v1/routes',
    tag: 'routes',
    summary: 'List routes',
    params: none,
    query: inProject,
    status: 200,
    answers: { [json]: namedSchemas.RouteList },
    errors: ['bad-request', 'unavailable'],
  }),
  getTrace: operation({
    method: 'GET',
    path: '/v1/traces/:traceId',
    tag: 'traces',
    summary: 'The spans of one trace',
    params: z.object({ traceId: z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hexadecimal digits') }),
    query: none,
    status: 200,
    answers: { [json]: traceSchema },
    errors: ['bad-request', 'not-found', 'unavailable'],
  }),
  getHealthz: operation({
    method: 'GET',
    path: '/healthz',
    tag: 'running',
    summary: 'The gateway runs',
    open: true,
    params: none,
    query: none,
    status: 200,
    answers: { 'text/plain': null },
    errors: [],
  }),
  getReadyz: operation({
    method: 'GET',
    path: '/readyz',
    tag: 'running',
    summary: 'Every room can work',
    description: '503 with the same body while a room, its broker connection or its database is away.',
    open: true,
    params: none,
    query: none,
    status: 200,
    answers: { [json]: platformHealthSchema },
    errors: [],
  }),
  getMetrics: operation({
    method: 'GET',
    path: '/metrics',
    tag: 'running',
    summary: 'Metrics, in the text format of Prometheus',
    open: true,
    params: none,
    query: none,
    status: 200,
    answers: { 'text/plain': null },
    errors: [],
  }),
  getOpenapi: operation({
    method: 'GET',
    path: '/openapi.json',
    tag: 'running',
    summary: 'This description',
    open: true,
    params: none,
    query: none,
    status: 200,
    answers: { [json]: z.record(z.string(), z.unknown()) },
    errors: [],
  }),
  getDocs: operation({
    method: 'GET',
    path: '/docs',
    tag: 'running',
    summary: 'This description, to read',
    open: true,
    params: none,
    query: none,
    status: 200,
    answers: { 'text/html': null },
    errors: [],
  }),
};
