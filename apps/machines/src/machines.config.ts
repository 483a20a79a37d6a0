import { z } from 'zod';

export const machinesConfig = z.object({
  CESTX_DRIVER: z.enum(['auto', 'docker', 'process']).default('auto'),
  CESTX_DATA: z.string().min(1).default('.cestx'),
  /** The base image of Node functions; with none, `cestx/node:24`, else `node:24-slim` if a registry has it. */
  CESTX_IMAGE_NODE: z.string().default(''),
  /** Leave the machines running when the platform stops. */
  CESTX_KEEP_MACHINES: z.stringbool().default(false),
  /** `unix:///path` or `tcp://host:port`. */
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
  /** Where programs are looked for when functions run as processes. */
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
  /** Handed on to functions, so that their spans join ours. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
});
export type MachinesConfig = z.output<typeof machinesConfig>;
