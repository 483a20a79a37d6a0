import { z } from 'zod';

import {
  capacitySchema,
  deadLetterSchema,
  deploymentErrorSchema,
  driverChoiceSchema,
  eventFilterSchema,
  deploymentSchema,
  functionSchema,
  healthSchema,
  idSchema,
  labelSchema,
  logLineSchema,
  machineSampleSchema,
  machineSchema,
  revisionRecordSchema,
  routeSchema,
  scaleDecisionRecordSchema,
  spanSchema,
  stepSchema,
  templateSchema,
  triggerSchema,
} from '#contracts';

export const acceptedSchema = z.object({
  deploymentId: idSchema,
  function: labelSchema,
  statusUrl: z.string(),
  eventsUrl: z.string(),
  traceId: z.string().nullable(),
});
export const traceSchema = z.object({ traceId: z.string(), spans: z.array(spanSchema) });
export const platformHealthSchema = z.object({ ready: z.boolean(), rooms: z.array(healthSchema) });
const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  help: z.string(),
  traceId: z.string().optional(),
  lastLines: z.array(z.string()).optional(),
});
/** The part of CycloneDX 1.6 that is written here. */
const sbomSchema = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.string(),
  components: z.array(
    z.looseObject({ type: z.string(), name: z.string(), version: z.string(), purl: z.string() }),
  ),
});
const listOf = <S extends z.ZodType>(item: S) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() });

/** Schemas that have a name of their own in /openapi.json and in the client. */
export const namedSchemas = {
  Accepted: acceptedSchema,
  Capacity: capacitySchema,
  DeadLetter: deadLetterSchema,
  DeadLetterList: listOf(deadLetterSchema),
  Deployment: deploymentSchema,
  DeploymentError: deploymentErrorSchema,
  DriverChoice: driverChoiceSchema,
  EventFilter: eventFilterSchema,
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
  ScaleDecision: scaleDecisionRecordSchema,
  ScaleDecisionList: listOf(scaleDecisionRecordSchema),
  Sbom: sbomSchema,
  Span: spanSchema,
  Step: stepSchema,
  Template: templateSchema,
  TemplateList: listOf(templateSchema),
  Trace: traceSchema,
  Trigger: triggerSchema,
  TriggerList: listOf(triggerSchema),
} as const;
