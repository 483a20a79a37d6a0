import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';

import { CestxError } from './errors.ts';
import { durationSchema } from './quantities.ts';
import { labelSchema } from './names.ts';

/** The templates that are always there. */
export const builtInTemplates = ['node', 'python', 'go', 'dockerfile', 'image'] as const;

const argumentValue = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** `template.yaml`; durations become milliseconds. */
const documentSchema = z.strictObject({
  name: labelSchema.refine(
    (name) => !builtInTemplates.some((known) => known === name),
    'is the name of a template that is always there; take another',
  ),
  description: z.string().max(500).default(''),
  /** Arguments of the Dockerfile and their values where a function says nothing; null: the function has to say one. */
  args: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), argumentValue.nullable()).default({}),
  /** Files of which any one, at the top of a source that names no template, says that this one is meant. */
  detect: z
    .array(
      z
        .string()
        .max(200)
        .regex(/^(?!\/)(?!.*(^|\/)\.\.?(\/|$))[^\\\s]+$/, 'must be the path of a file'),
    )
    .max(20)
    .default([]),
  /** For functions that say nothing of their health. */
  health: z
    .strictObject({
      path: z
        .string()
        .regex(/^\/[^\s]*$/, 'must be a path that starts with /')
        .optional(),
      startup: durationSchema.optional(),
    })
    .prefault({}),
});

/** What a template of one's own declares; what travels in messages. */
export const templateDefinitionSchema = z.object({
  name: labelSchema,
  description: z.string(),
  args: z.record(z.string(), z.string().nullable()),
  detect: z.array(z.string()),
  health: z.object({ path: z.string().optional(), startup: z.number().optional() }),
});
export type TemplateDefinition = z.output<typeof templateDefinitionSchema>;

/** Reads the text of a `template.yaml`. Throws `invalid-template` naming every wrong key. */
export function parseTemplate(text: string): TemplateDefinition {
  let document: unknown;
  try {
    document = parse(text, { maxAliasCount: 20 });
  } catch (error) {
    const where = error instanceof YAMLParseError ? error.message.split('\n')[0] : 'it cannot be read';
    throw new CestxError('invalid-template', `template.yaml is not valid YAML: ${where}`);
  }
  const result = documentSchema.safeParse(document);
  if (result.success) return result.data;
  const wrong = result.error.issues.map((issue) => {
    const path = issue.path.join('.') || 'template.yaml';
    if (issue.code !== 'unrecognized_keys') return `${path}: ${issue.message}.`;
    const known = issue.path.length === 0 ? documentSchema.shape : { path: 0, startup: 0 };
    return `${path}: unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}; there are ${Object.keys(known).join(', ')}.`;
  });
  throw new CestxError('invalid-template', wrong.join(' '));
}

/** The arguments a build gets: the template's own, and over them the function's. Throws `bad-request` naming what is wrong. */
export function argumentsFor(
  { name, args }: Pick<TemplateDefinition, 'name' | 'args'>,
  given: Readonly<Record<string, string>>,
): Record<string, string> {
  const declared = Object.keys(args);
  const unknown = Object.keys(given).filter((key) => !declared.includes(key));
  if (unknown.length > 0) {
    const known = declared.length > 0 ? `there are ${declared.join(', ')}` : 'it has none';
    throw new CestxError(
      'bad-request',
      `build.args: the template "${name}" has no argument ${unknown.join(', ')}; ${known}.`,
    );
  }
  const values = declared.map((key) => [key, given[key] ?? args[key] ?? null] as const);
  const missing = values.filter(([, value]) => value === null).map(([key]) => key);
  if (missing.length > 0) {
    throw new CestxError(
      'bad-request',
      `build.args: the template "${name}" needs a value for ${missing.join(', ')}.`,
    );
  }
  return Object.fromEntries(values.map(([key, value]) => [key, value ?? '']));
}
