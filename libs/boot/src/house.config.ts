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
  /** Sources and other large things lie in this bucket, `https://host/bucket`, instead of the broker's own object store. */
  CESTX_S3_URL: z.union([z.literal(''), z.url({ protocol: /^https?$/ })]).default(''),
  CESTX_S3_REGION: z.string().min(1).default('us-east-1'),
  CESTX_S3_ACCESS_KEY: z.string().default(''),
  CESTX_S3_SECRET_KEY: z.string().default(''),
  /** Breaks handlers on purpose, for tests of bad days. */
  CESTX_FAILPOINTS: z.string().default(''),
});

/** The bucket to use; null for the broker's own store. Throws when the bucket has no keys, or no name. */
export function s3Of(house: z.output<typeof houseConfig>): {
  url: string;
  region: string;
  accessKey: string;
  secretKey: string;
} | null {
  const { CESTX_S3_URL: url, CESTX_S3_REGION: region } = house;
  const { CESTX_S3_ACCESS_KEY: accessKey, CESTX_S3_SECRET_KEY: secretKey } = house;
  if (url === '') return null;
  if (accessKey === '' || secretKey === '')
    throw new CestxError('bad-request', 'CESTX_S3_URL needs CESTX_S3_ACCESS_KEY and CESTX_S3_SECRET_KEY.');
  if (/^\/*$/.test(new URL(url).pathname))
    throw new CestxError('bad-request', 'CESTX_S3_URL must name a bucket: https://host/bucket.');
  return { url, region, accessKey, secretKey };
}

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
