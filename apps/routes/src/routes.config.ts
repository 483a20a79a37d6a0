import { z } from 'zod';

const label = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';

export const routesConfig = z.object({
  /** The zone we answer for, and what every hostname ends in. */
  CESTX_DOMAIN: z
    .string()
    .toLowerCase()
    .max(180)
    .regex(
      new RegExp(`^${label}(\\.${label})*$`),
      'must be a domain name such as localhost or fn.example.com',
    )
    .default('localhost'),
  CESTX_DNS_HOST: z.union([z.ipv4(), z.ipv6()]).default('127.0.0.1'),
  /** 0 takes any free port. */
  CESTX_DNS_PORT: z.coerce.number().int().min(0).max(65_535).default(5300),
  /** What every hostname resolves to: where the gateway listens. */
  CESTX_DNS_ADDRESS: z.ipv4().default('127.0.0.1'),
  /** Empty: no AAAA records. */
  CESTX_DNS_ADDRESS6: z.union([z.ipv6(), z.literal('')]).default('::1'),
  /** Seconds; short, because routes come and go with deployments. */
  CESTX_DNS_TTL: z.coerce.number().int().min(0).max(86_400).default(5),
});
export type RoutesConfig = z.output<typeof routesConfig>;
