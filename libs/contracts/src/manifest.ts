import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';

import { CestxError } from './errors.ts';
import { labelSchema } from './names.ts';
import { durationSchema, sizeSchema } from './quantities.ts';
import { deliveryFields, triggersField } from './trigger-settings.ts';

const reservedVariables = /^(PORT|CESTX_.*|K_SERVICE|K_REVISION)$/;
const environmentSchema = z.record(
  z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a name of letters, digits and underscores')
    .refine((name) => !reservedVariables.test(name), 'is set by the platform and cannot be changed'),
  z.union([z.string(), z.number(), z.boolean()]).transform(String),
);

const resourcesSchema = z.strictObject({
  /** Cores. */
  cpu: z.number().min(0.01).max(64).default(0.5),
  /** Bytes. */
  memory: sizeSchema
    .refine((bytes) => bytes >= 16 * 1024 ** 2, 'must be at least 16Mi')
    .default(256 * 1024 ** 2),
  pids: z.number().int().min(8).max(4096).default(128),
  /** Open files of one process. */
  files: z.number().int().min(64).max(1_048_576).default(8192),
  /** Bytes of `/tmp`, which lies in memory and counts against it. */
  tmp: sizeSchema.default(64 * 1024 ** 2),
  /** Bytes of output kept beside the machine until it is read. */
  logs: sizeSchema.default(16 * 1024 ** 2),
  /** False: it can be called, but calls nobody. */
  network: z.boolean().default(true),
});

export const runtimeNames = ['runc', 'crun', 'runsc', 'sysbox-runc'] as const;

const stepsSchema = z
  .array(z.strictObject({ from: z.number().min(0), machines: z.number().int().min(0).max(1000) }))
  .min(1);

/** Calls in flight; or events that wait or are being handled, so many a machine (`lag`) or by a staircase (`steps`). */
export const scaleMetrics = ['concurrency', 'lag', 'steps'] as const;

const scaleFields = z.strictObject({
  min: z.number().int().min(0).max(1000),
  max: z.number().int().min(1).max(1000),
  metric: z.enum(scaleMetrics),
  /**
   * Calls one machine should have in flight on average; without it 70 % of `concurrency`, or 50 when that has no limit.
   * With `lag`, events for each machine; without it `concurrency`, or 10.
   */
  target: z.number().min(0.01).max(10_000),
  /** The time calls are averaged over; a tenth of it is the panic window. */
  window: durationSchema.refine((ms) => ms >= 6000 && ms <= 3_600_000, 'must be between 6s and 1h'),
  /** Instead of `target`: the machines of the highest `from` that is reached. */
  steps: stepsSchema,
  /** `whenEmpty`: machines made for events stay until none waits or is being handled. */
  scaleDown: z.enum(['gradual', 'whenEmpty']),
  /** How long an idle machine stays in each tier, each counted from its last call: running, frozen, stopped, then gone. */
  freezeAfter: durationSchema,
  stopAfter: durationSchema,
  removeAfter: durationSchema,
  /** A machine this old is replaced or, when nobody needs it, removed; for environments that must not outlive a test. */
  expiresAfter: durationSchema,
});

const scaleSchema = scaleFields
  .extend({
    min: scaleFields.shape.min.default(0),
    max: scaleFields.shape.max.default(20),
    metric: scaleFields.shape.metric.default('concurrency'),
    target: scaleFields.shape.target.optional(),
    window: scaleFields.shape.window.default(60_000),
    steps: scaleFields.shape.steps.optional(),
    scaleDown: scaleFields.shape.scaleDown.optional(),
    freezeAfter: scaleFields.shape.freezeAfter.default(30_000),
    stopAfter: scaleFields.shape.stopAfter.default(300_000),
    removeAfter: scaleFields.shape.removeAfter.default(3_600_000),
    expiresAfter: scaleFields.shape.expiresAfter.optional(),
  })
  .refine(({ min, max }) => min <= max, { message: 'must not be smaller than min', path: ['max'] })
  .refine(({ metric, steps }) => metric !== 'steps' || steps !== undefined, {
    message: 'is needed with metric: steps, such as [{from: 100, machines: 25}, {from: 0, machines: 0}]',
    path: ['steps'],
  });

const healthSchema = z.strictObject({
  /** HTTP path that answers 2xx when the program can serve; without it a TCP connect is enough. */
  path: z
    .string()
    .regex(/^\/[^\s]*$/, 'must be a path that starts with /')
    .optional(),
  startup: durationSchema.default(30_000),
});

const buildSchema = z.strictObject({
  /** Arguments the template declares. */
  args: z
    .record(
      z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/),
      z.union([z.string(), z.number(), z.boolean()]).transform(String),
    )
    .default({}),
});

/** `function.yaml`; durations become milliseconds, sizes bytes. Every default of a function is written here. */
export const manifestSchema = z.strictObject({
  name: labelSchema,
  template: labelSchema.optional(),
  /** The function to call, for sources written against a Functions Framework. */
  handler: z.string().min(1).max(200).optional(),
  /** The image to run, for `template: image`. */
  image: z.string().min(1).max(500).optional(),
  build: buildSchema.prefault({}),
  runtime: z.enum(runtimeNames).optional(),
  env: environmentSchema.default({}),
  resources: resourcesSchema.prefault({}),
  /** Calls one machine takes at a time; 0 is without a limit. */
  concurrency: z.number().int().min(0).max(10_000).default(0),
  timeout: durationSchema
    .refine((ms) => ms >= 1 && ms <= 3_600_000, 'must be between 1ms and 1h')
    .default(30_000),
  scale: scaleSchema.prefault({}),
  triggers: triggersField,
  delivery: deliveryFields.prefault({}),
  health: healthSchema.prefault({}),
});
export type Manifest = z.output<typeof manifestSchema>;

/** The limits of a machine whose manifest names none. */
export const defaultResources = resourcesSchema.parse({});

/** What of a manifest decides how many machines there are and how they rest; milliseconds. Not part of a revision: it can change any time. */
export const scaleSettingsSchema = z.object({
  min: z.number(),
  max: z.number(),
  metric: z.enum(scaleMetrics),
  target: z.number().optional(),
  window: z.number(),
  steps: z.array(z.object({ from: z.number(), machines: z.number() })).optional(),
  scaleDown: z.enum(['gradual', 'whenEmpty']).optional(),
  freezeAfter: z.number(),
  stopAfter: z.number(),
  removeAfter: z.number(),
  expiresAfter: z.number().optional(),
});
export type ScaleSettings = z.output<typeof scaleSettingsSchema>;

/** The scale of a function that says nothing of it. */
export const defaultScale: ScaleSettings = scaleSettingsSchema.parse(scaleSchema.parse({}));

const { target, steps, expiresAfter } = scaleFields.shape;
/** A change of some settings of `scale` as a user writes it; what is left out stays, null takes away. */
export const scaleChangeSchema = scaleFields
  .extend({ target: target.nullable(), steps: steps.nullable(), expiresAfter: expiresAfter.nullable() })
  .partial();
/** The same as it travels; milliseconds. */
export const scalePatchSchema = scaleSettingsSchema
  .extend({
    target: z.number().nullable(),
    steps: scaleSettingsSchema.shape.steps.unwrap().nullable(),
    expiresAfter: z.number().nullable(),
  })
  .partial();
export type ScalePatch = z.output<typeof scalePatchSchema>;

/** Throws `bad-request` when what comes of it contradicts itself. */
export function applyScaleChange(present: ScaleSettings, change: ScalePatch): ScaleSettings {
  const given = Object.entries({ ...present, ...change }).filter(([, value]) => value !== null);
  const changed = scaleSettingsSchema.parse(Object.fromEntries(given));
  const { min, max } = changed;
  if (min > max)
    throw new CestxError('bad-request', `max (${max}) must not be smaller than min (${min}); change both.`);
  if (changed.metric === 'steps' && !changed.steps)
    throw new CestxError('bad-request', 'metric "steps" needs steps; give both.');
  return changed;
}

/** What the build of a revision takes from its manifest. */
export const buildSettingsSchema = z.object({
  template: labelSchema.optional(),
  handler: z.string().optional(),
  image: z.string().optional(),
  args: z.record(z.string(), z.string()).default({}),
});
export type BuildSettings = z.output<typeof buildSettingsSchema>;

/** The settings of a manifest after parsing that a machine is made with; what travels in messages. */
export const settingsSchema = z.object({
  env: z.record(z.string(), z.string()),
  resources: z.object({
    cpu: z.number(),
    memory: z.number(),
    pids: z.number(),
    files: z.number(),
    tmp: z.number(),
    logs: z.number(),
    network: z.boolean(),
  }),
  runtime: z.enum(runtimeNames).optional(),
  concurrency: z.number(),
  timeout: z.number(),
  health: z.object({ path: z.string().optional(), startup: z.number() }),
});
export type Settings = z.output<typeof settingsSchema>;

/** Replaces `${VAR}` and `${VAR:-default}`; an unset variable without a default is an error that names it. */
export function substitute(text: string, variables: Readonly<Record<string, string | undefined>>): string {
  return text.replaceAll(
    /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g,
    (_, name: string, fallback?: string) => {
      const value = variables[name];
      if (value !== undefined && value !== '') return value;
      if (fallback !== undefined) return fallback;
      throw new CestxError(
        'invalid-manifest',
        `function.yaml uses \${${name}}, which is not set; set it, or write \${${name}:-default}.`,
      );
    },
  );
}

/** Reads the text of a `function.yaml`. Throws `invalid-manifest` naming every wrong key. */
export function parseManifest(text: string): Manifest {
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 20 });
  } catch (error) {
    const where = error instanceof YAMLParseError ? error.message.split('\n')[0] : 'it cannot be read';
    throw new CestxError('invalid-manifest', `function.yaml is not valid YAML: ${where}`);
  }
  const result = manifestSchema.safeParse(document);
  if (result.success) return result.data;
  throw new CestxError('invalid-manifest', result.error.issues.map(describeIssue).join(' '));
}

type Issue = z.core.$ZodIssue;

function describeIssue(issue: Issue): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .map((key) => {
        const near = nearest(key, knownKeys(issue.path));
        return `Unknown key "${path ? `${path}.` : ''}${key}"${near ? `; did you mean "${near}"?` : '.'}`;
      })
      .join(' ');
  }
  if (issue.code === 'invalid_key')
    return `${path}: ${issue.issues.map((inner) => inner.message).join(', ')}.`;
  return `${path || 'function.yaml'}: ${issue.message}.`;
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  const nested: Record<string, z.ZodObject> = {
    resources: resourcesSchema,
    health: healthSchema,
    scale: scaleSchema,
    build: buildSchema,
  };
  const schema = path.length === 0 ? manifestSchema : nested[String(path[0])];
  return schema ? Object.keys(schema.shape) : [];
}

/** The known key with the smallest Levenshtein distance, when it is near enough to be a slip. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const scored = known.map((candidate) => ({
    candidate,
    distance: levenshtein(word.toLowerCase(), candidate.toLowerCase()),
  }));
  scored.sort((a, b) => a.distance - b.distance);
  const best = scored[0];
  return best && best.distance <= Math.max(2, Math.floor(word.length / 2)) ? best.candidate : undefined;
}

function levenshtein(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
