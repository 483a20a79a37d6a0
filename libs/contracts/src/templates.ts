import { z } from 'zod';

import { failureSchema } from './errors.ts';
import { buildSettingsSchema } from './manifest.ts';
import { command, event, query } from './message.ts';
import { digestSchema, idSchema, labelSchema, timeSchema } from './names.ts';
import { templateDefinitionSchema } from './template-definition.ts';

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
  z.object({
    buildId: idSchema,
    template: labelSchema,
    /** Of a template of one's own; the others have the version of the platform. */
    templateVersion: z.number().int().optional(),
    artifact: artifactSchema,
    /** What the template says for functions that say nothing of their health; milliseconds. */
    health: templateDefinitionSchema.shape.health.optional(),
  }),
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

const acceptedSourceSchema = z.object({
  digest: digestSchema,
  files: z.number(),
  bytes: z.number(),
  /** The text of its function.yaml. */
  manifest: z.string().optional(),
});

/** Where in the object store the bill of materials (CycloneDX) of a build lies. */
export const GetSbom = query(
  'templates',
  'GetSbom',
  z.object({ buildId: idSchema }),
  z.object({ object: z.string() }),
);

/** Checks an uploaded archive (`uploads/<uploadId>` in the object store) and keeps it content-addressed. Idempotent. */
export const AcceptSource = query(
  'templates',
  'AcceptSource',
  z.object({ uploadId: idSchema }),
  acceptedSourceSchema,
);

/** Fetches a commit of a git repository and keeps its files like an accepted upload. Hosts have to be allowed. */
export const AcceptGitSource = query(
  'templates',
  'AcceptGitSource',
  z.object({
    url: z.string(),
    /** A branch, a tag or a whole commit hash; the repository's own default when left out. */
    ref: z.string().optional(),
    /** The part of the repository that is the source. */
    folder: z.string().optional(),
  }),
  acceptedSourceSchema.extend({ commit: z.string() }),
);

/** A template of one's own, or one that is always there (`builtIn`, the same in every project). */
export const templateSchema = templateDefinitionSchema.extend({
  project: labelSchema,
  builtIn: z.boolean(),
  /** The version that builds use; null while none has passed its check, and for built-in ones. */
  version: z.number().int().nullable(),
  /** The newest version, which may still be checked or was refused. */
  check: z
    .object({
      version: z.number().int(),
      state: z.enum(['checking', 'ready', 'refused']),
      error: failureSchema.nullable(),
      at: timeSchema,
    })
    .nullable(),
  /** Functions with a revision, or a build under way, made from it. */
  usedBy: z.array(labelSchema),
});
export type Template = z.output<typeof templateSchema>;

/**
 * Takes a source with a `template.yaml`, a `Dockerfile` and a `sample/` as the next version of a template, and has it checked
 * by a build of the sample. Idempotent by `versionId`.
 */
export const AcceptTemplate = query(
  'templates',
  'AcceptTemplate',
  z.object({
    versionId: idSchema,
    project: labelSchema,
    sourceDigest: digestSchema,
    /** Whether there has to be one already; its name then. */
    update: labelSchema.nullable(),
  }),
  templateSchema,
);
export const TemplateChecked = event('templates', 'TemplateChecked', z.object({ versionId: idSchema }));
export const TemplateCheckFailed = event('templates', 'TemplateCheckFailed', failureSchema);
/** Builds the sample of a version; builds use the version from then on. One whose sample cannot be built is refused. */
export const CheckTemplate = command('templates', 'CheckTemplate', z.object({ versionId: idSchema }), {
  done: TemplateChecked,
  failed: TemplateCheckFailed,
});

export const TemplateDeleted = event(
  'templates',
  'TemplateDeleted',
  z.object({ project: labelSchema, name: labelSchema }),
);
export const TemplateDeleteFailed = event('templates', 'TemplateDeleteFailed', failureSchema);
/** Forgets a template and all its versions; refused while a function uses it. One that is not there is deleted, too. */
export const DeleteTemplate = command(
  'templates',
  'DeleteTemplate',
  z.object({ project: labelSchema, name: labelSchema }),
  { done: TemplateDeleted, failed: TemplateDeleteFailed },
);

export const GetTemplate = query(
  'templates',
  'GetTemplate',
  z.object({ project: labelSchema, name: labelSchema }),
  templateSchema,
);
export const ListTemplates = query(
  'templates',
  'ListTemplates',
  z.object({ project: labelSchema }),
  z.object({ items: z.array(templateSchema) }),
);
