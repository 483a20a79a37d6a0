import { z } from 'zod';

import { errorCodeSchema, failureSchema } from './errors.ts';
import { buildSettingsSchema, scalePatchSchema, scaleSettingsSchema, settingsSchema } from './manifest.ts';
import { command, event, query } from './message.ts';
import { eventSettingsSchema } from './trigger-settings.ts';
import { digestSchema, idSchema, labelSchema, revisionSchema, timeSchema } from './names.ts';

export const deploymentErrorSchema = z.object({
  step: z.string(),
  code: errorCodeSchema,
  message: z.string(),
  lastLines: z.array(z.string()),
});
export const stepSchema = z.object({
  name: z.string(),
  state: z.enum(['pending', 'running', 'done', 'failed', 'undoing', 'undone']),
  startedAt: timeSchema.nullable(),
  ms: z.number().nullable(),
  error: deploymentErrorSchema.nullable(),
});
export const deploymentSchema = z.object({
  id: idSchema,
  project: labelSchema,
  kind: z.enum(['deploy', 'remove', 'scale']),
  function: labelSchema,
  revision: revisionSchema.nullable(),
  /** `live` ends a deploy, `removed` a removal, `failed` either, after everything was undone. */
  state: z.enum(['pending', 'running', 'live', 'removed', 'undoing', 'failed']),
  steps: z.array(stepSchema),
  error: deploymentErrorSchema.nullable(),
  url: z.string().nullable(),
  traceId: z.string().nullable(),
  createdAt: timeSchema,
});
export type Deployment = z.output<typeof deploymentSchema>;

export const DeploymentRefused = event('deployments', 'DeploymentRefused', failureSchema);
export const DeploymentQueued = event(
  'deployments',
  'DeploymentQueued',
  z.object({ deploymentId: idSchema }),
);
/** Deploys a source as the next revision of a function. Deployments of one function run one after the other. */
export const DeployFunction = command(
  'deployments',
  'DeployFunction',
  z.object({
    deploymentId: idSchema,
    project: labelSchema,
    function: labelSchema,
    sourceDigest: digestSchema,
    build: buildSettingsSchema,
    settings: settingsSchema,
    scale: scaleSettingsSchema,
    events: eventSettingsSchema,
  }),
  { done: DeploymentQueued, failed: DeploymentRefused },
);
/** Removes a function and everything it has. Runs in the same line as its deployments. */
export const RemoveFunction = command(
  'deployments',
  'RemoveFunction',
  z.object({ deploymentId: idSchema, project: labelSchema, function: labelSchema }),
  { done: DeploymentQueued, failed: DeploymentRefused },
);

/** Changes how a live function scales and rests, without a new revision. Runs in the same line as its deployments. */
export const ChangeScale = command(
  'deployments',
  'ChangeScale',
  z.object({
    deploymentId: idSchema,
    project: labelSchema,
    function: labelSchema,
    change: scalePatchSchema,
  }),
  { done: DeploymentQueued, failed: DeploymentRefused },
);
/** Ends a deployment that is not live yet as if its step had failed: what it did is undone. One that has ended is left alone. */
export const CancelDeployment = command(
  'deployments',
  'CancelDeployment',
  z.object({ deploymentId: idSchema }),
  { done: DeploymentQueued, failed: DeploymentRefused },
);

/** A saga step began or ended; `deployment` is the whole record after it. */
export const DeploymentChanged = event('deployments', 'DeploymentChanged', deploymentSchema);

export const functionSchema = z.object({
  project: labelSchema,
  name: labelSchema,
  revision: revisionSchema.nullable(),
  url: z.string().nullable(),
  state: z.enum(['deploying', 'live', 'removing']),
  template: z.string().nullable(),
  scale: scaleSettingsSchema.nullable(),
  createdAt: timeSchema,
  updatedAt: timeSchema,
  lastDeploymentId: idSchema,
});
export type FunctionRecord = z.output<typeof functionSchema>;

export const revisionRecordSchema = z.object({
  revision: revisionSchema,
  /** The deployment that made it. */
  deploymentId: idSchema,
  sourceDigest: digestSchema,
  template: z.string(),
  /** Of a template of one's own. */
  templateVersion: z.number().int().nullable(),
  state: z.enum(['live', 'retired']),
  createdAt: timeSchema,
});

/** Waits up to `waitMs` for a deployment that was only just ordered. */
export const GetDeployment = query(
  'deployments',
  'GetDeployment',
  z.object({ id: idSchema, waitMs: z.number().int().min(0).max(10_000).default(0) }),
  deploymentSchema,
);
export const GetFunction = query(
  'deployments',
  'GetFunction',
  z.object({ project: labelSchema, function: labelSchema }),
  functionSchema,
);
export const ListFunctions = query(
  'deployments',
  'ListFunctions',
  z.object({
    project: labelSchema,
    limit: z.number().int().min(1).max(500).default(100),
    cursor: z.string().optional(),
  }),
  z.object({ items: z.array(functionSchema), nextCursor: z.string().nullable() }),
);
export const ListRevisions = query(
  'deployments',
  'ListRevisions',
  z.object({
    project: labelSchema,
    function: labelSchema,
    limit: z.number().int().min(1).max(500).default(100),
    cursor: z.string().optional(),
  }),
  z.object({ items: z.array(revisionRecordSchema), nextCursor: z.string().nullable() }),
);
