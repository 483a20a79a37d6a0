import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { buildSettingsSchema } from './manifest.ts';
import { command, event, query } from './message.ts';
import { digestSchema, idSchema, labelSchema } from './names.ts';

/** What a builder makes and a driver starts. */
export const artifactSchema = z.discriminatedUnion('kind', [
  /** A container image pinned by its id, `sha256:…`; where a registry has it too, hosts without it pull it by `reference`. */
  z.object({
    kind: z.literal('image'),
    image: z.string().regex(/^sha256:[0-9a-f]{64}$/),
    /** `registry/repository@sha256:…` */
    reference: z.string().optional(),
  }),
  /** A built folder and how to start it, for the process driver. */
  z.object({ kind: z.literal('directory'), path: z.string(), command: z.array(z.string()).min(1) }),
]);
export type Artifact = z.output<typeof artifactSchema>;

export const SourceBuilt = event(
  'templates',
  'SourceBuilt',
  z.object({ buildId: idSchema, template: labelSchema, artifact: artifactSchema }),
);
export const SourceBuildFailed = event('templates', 'SourceBuildFailed', failureSchema);
/** Builds a source. Ends when the artefact exists and was verified. Lines go to the log feed as `build-<buildId>`. */
export const BuildSource = command(
  'templates',
  'BuildSource',
  z.object({
    buildId: idSchema,
    project: labelSchema,
    function: labelSchema,
    sourceDigest: digestSchema,
    /** Its template is guessed from the source when left out. */
    build: buildSettingsSchema,
  }),
  { done: SourceBuilt, failed: SourceBuildFailed },
);

export const BuildDiscarded = event('templates', 'BuildDiscarded', z.object({ buildId: idSchema }));
export const BuildDiscardFailed = event('templates', 'BuildDiscardFailed', failureSchema);
/** Cancels a build or forgets its artefact when no other build made the same one. A build that never was is discarded too. */
export const DiscardBuild = command('templates', 'DiscardBuild', z.object({ buildId: idSchema }), {
  done: BuildDiscarded,
  failed: BuildDiscardFailed,
});

/** Checks an uploaded archive (`uploads/<uploadId>` in the object store) and keeps it content-addressed. Idempotent. */
export const AcceptSource = query(
  'templates',
  'AcceptSource',
  z.object({ uploadId: idSchema }),
  z.object({ digest: digestSchema, files: z.number(), bytes: z.number(), manifest: z.string().optional() }),
);
