import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';

import { CestxError } from './errors.ts';
import { labelSchema } from './names.ts';

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const sizeUnits = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3, k: 1000, M: 1000 ** 2, G: 1000 ** 3 } as const;

/** `30s`, `5m`, `1h`, `250ms`, `2d` → milliseconds. */
export const durationSchema = z
  .string()
  .regex(/^[0-9]+(ms|s|m|h|d)$/, 'must be a duration such as 500ms, 30s, 5m or 1h')
  .transform((text) => {
    const [, number = '0', unit = 's'] = /^([0-9]+)([a-z]+)$/.exec(text) ?? [];
    return Number(number) * durationUnits[unit as keyof typeof durationUnits];
  });

/** `128Mi`, `1Gi`, `500M` → bytes. */
export const sizeSchema = z
  .string()
  .regex(/^[0-9]+(Ki|Mi|Gi|k|M|G)$/, 'must be a size such as 128Mi or 1Gi')
  .transform((text) => {
    const [, number = '0', unit = 'Mi'] = /^([0-9]+)([A-Za-z]+)$/.exec(text) ?? [];
    return Number(number) * sizeUnits[unit as keyof typeof sizeUnits];
  });

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
});

const healthSchema = z.strictObject({
  /** HTTP path that answers 2xx when the program can serve; without it a TCP connect is enough. */
  path: z
    .string()
    .regex(/^\/[^\s]*$/, 'must be a path that starts with /')
    .optional(),
  startup: durationSchema.default(30_000),
});

/** `function.yaml`; durations become milliseconds, sizes bytes. Every default of a function is written here. */
export const manifestSchema = z.strictObject({
  name: labelSchema,
  template: labelSchema.optional(),
  env: environmentSchema.default({}),
  resources: resourcesSchema.prefault({}),
  /** Calls one machine takes at a time; 0 is without a limit. */
  concurrency: z.number().int().min(0).max(10_000).default(0),
  timeout: durationSchema
    .refine((ms) => ms >= 1 && ms <= 3_600_000, 'must be between 1ms and 1h')
    .default(30_000),
  health: healthSchema.prefault({}),
});
export type Manifest = z.output<typeof manifestSchema>;

/** The settings of a manifest after parsing; what travels in messages. */
export const settingsSchema = z.object({
  env: z.record(z.string(), z.string()),
  resources: z.object({ cpu: z.number(), memory: z.number(), pids: z.number() }),
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
  const nested: Record<string, z.ZodObject> = { resources: resourcesSchema, health: healthSchema };
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
