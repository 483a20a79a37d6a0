import { parseArgs } from 'node:util';

import { z } from 'zod';

import { readEnvironment, type Environment } from '#boot';
import { CestxError } from '#contracts';

/** What an operator may say, as an option or as a variable; the option wins. */
const schema = z.object({
  CESTX_PORT: z.coerce.number().int().min(0).max(65_535).default(8080),
  CESTX_DATA: z.string().min(1).default('.cestx'),
  CESTX_DRIVER: z.enum(['auto', 'docker', 'process']).default('auto'),
  CESTX_DOMAIN: z.string().min(1).default('localhost'),
  CESTX_DNS_PORT: z.coerce.number().int().min(0).max(65_535).default(5300),
  CESTX_KEEP_MACHINES: z.stringbool().default(false),
});
export type PlatformOptions = z.output<typeof schema>;

const flags = {
  port: 'CESTX_PORT',
  data: 'CESTX_DATA',
  driver: 'CESTX_DRIVER',
  domain: 'CESTX_DOMAIN',
  'dns-port': 'CESTX_DNS_PORT',
} as const;

/** Reads the command line over the environment. Throws one sentence that names what is wrong. */
export function readOptions(args: string[], environment: Environment): PlatformOptions {
  const given: Record<string, string | undefined> = { ...environment };
  const { values } = parse(args);
  for (const [flag, variable] of Object.entries(flags)) {
    const value = values[flag as keyof typeof flags];
    if (value !== undefined) given[variable] = value;
  }
  if (values['keep-machines']) given['CESTX_KEEP_MACHINES'] = 'true';
  return readEnvironment(schema, given);
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args,
      options: {
        port: text,
        data: text,
        driver: text,
        domain: text,
        'dns-port': text,
        'keep-machines': { type: 'boolean' },
      },
    });
  } catch (error) {
    const known = [...Object.keys(flags), 'keep-machines'].map((flag) => `--${flag}`).join(', ');
    throw new CestxError(
      'bad-request',
      `${error instanceof Error ? error.message.split('.')[0] : 'Wrong option'}. Known: ${known}.`,
    );
  }
}
