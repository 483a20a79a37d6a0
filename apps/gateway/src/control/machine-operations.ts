import { z } from 'zod';

import {
  capacitySchema,
  driverChoiceSchema,
  labelSchema,
  machineSampleSchema,
  machineSchema,
  machineStates,
} from '#contracts';

import { namedSchemas } from './named-schemas.ts';
import {
  byId,
  eventStream,
  json,
  ndjson,
  none,
  page,
  sinceSchema,
  timeoutSchema,
} from './operation-inputs.ts';
import { operation } from './operation.ts';

/** Another state of one machine, by its verb. */
const moveOf = <V extends 'start' | 'stop' | 'freeze' | 'thaw'>(
  verb: V,
  summary: string,
  description: string,
) =>
  operation({
    method: 'POST',
    path: `/v1/machines/:id/${verb}`,
    tag: 'machines',
    summary,
    description: `${description} Answers once it is done, with the machine as it is then.`,
    params: byId,
    query: none,
    status: 200,
    answers: { [json]: machineSchema },
    errors: [
      'bad-request',
      'not-found',
      'conflict',
      'start-failed',
      'over-quota',
      'no-capacity',
      'timed-out',
      'unavailable',
    ],
  });

/** The calls about machines and what they run on. */
export const machineOperations = {
  listMachines: operation({
    method: 'GET',
    path: '/v1/machines',
    tag: 'machines',
    summary: 'List machines',
    params: none,
    query: page.extend({ function: labelSchema.optional() }),
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
    description:
      'Calls in flight are waited for. Its function gets another one with the next call, or at once when `scale.min` asks for it.',
    params: byId,
    query: none,
    status: 200,
    answers: { [json]: machineSchema },
    errors: ['bad-request', 'not-found', 'conflict', 'timed-out', 'unavailable'],
  }),
  startMachine: moveOf('start', 'Start a machine', 'Whatever tier it rests in, it runs after this.'),
  stopMachine: moveOf(
    'stop',
    'Stop a machine',
    'Calls in flight are waited for; the next call starts it again.',
  ),
  freezeMachine: moveOf(
    'freeze',
    'Freeze a machine',
    'Calls in flight are waited for; it keeps its memory, and the next call thaws it.',
  ),
  thawMachine: moveOf('thaw', 'Thaw a machine', 'The same as `start`.'),
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
};
