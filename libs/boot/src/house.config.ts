import { z } from 'zod';

import { CestxError } from '#contracts';

/** What every room reads from its environment, besides its own configuration. */
export const houseConfig = z.object({
  NATS_URL: z.string().min(1),
  DATABASE_URL: z.string().min(1),
  CESTX_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Log lines go to this file; to stderr when it is not set. */
  CESTX_LOG_FILE: z.string().optional(),
  /** Serves /healthz and /readyz of a room that runs alone; 0 leaves them out. */
  CESTX_HEALTH_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
  /** Breaks handlers on purpose, for tests of bad days. */
  CESTX_FAILPOINTS: z.string().default(''),
});

export type Environment = Readonly<Record<string, string | undefined>>;

/** The one place that reads the environment of the process. */
export const processEnvironment: Environment = process.env;

/** Parses an environment; throws one sentence that names each variable that is missing or wrong. */
export function readEnvironment<S extends z.ZodObject>(schema: S, environment: Environment): z.output<S> {
  const parsed = schema.safeParse(environment);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')} (${issue.message})`);
  throw new CestxError(
    'bad-request',
    `The environment is not complete: ${problems.join(', ')}. See .env.example.`,
  );
}
