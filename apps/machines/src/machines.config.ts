import { availableParallelism, totalmem } from 'node:os';

import { z } from 'zod';

import { registryVariables, sizeSchema } from '#contracts';

/** The memory this process may see: that of its container, where it runs in one with a limit. */
const visibleMemory = Math.min(totalmem(), process.constrainedMemory() || Infinity);

export const machinesConfig = z.object({
  CESTX_DRIVER: z.enum(['auto', 'docker', 'process']).default('auto'),
  CESTX_DATA: z.string().min(1).default('.cestx'),
  /** The base image of Node functions; with none, `cestx/node:24`, else `node:24-slim` if a registry has it. */
  CESTX_IMAGE_NODE: z.string().default(''),
  /** Leave the machines running when the platform stops. */
  CESTX_KEEP_MACHINES: z.stringbool().default(false),
  ...registryVariables,
  /** `unix:///path` or `tcp://host:port`. */
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
  /** Where programs are looked for when functions run as processes. */
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
  /** What the limits of all machines that are up may add up to. The rest is for the platform itself, and builds. */
  CESTX_HOST_MEMORY: sizeSchema.default(Math.floor(visibleMemory * 0.8)),
  /** Cores; many times what there is, for machines wait more than they work. */
  CESTX_HOST_CPU: z.coerce
    .number()
    .min(0.1)
    .default(availableParallelism() * 20),
  /** Machines up at a time; a bridge of the kernel takes 1,023. */
  CESTX_HOST_MACHINES: z.coerce.number().int().min(1).default(1000),
  /** No machine is started when less would be left free on the disk of the data folder. */
  CESTX_HOST_DISK_FREE: sizeSchema.prefault('512Mi'),
  /** The same limits for each project; without them a project may have all there is. */
  CESTX_PROJECT_MEMORY: z.union([z.literal(''), sizeSchema]).default(''),
  CESTX_PROJECT_MACHINES: z.union([z.literal(''), z.coerce.number().int().min(1)]).default(''),
  /** Milliseconds between two looks at what each running machine uses. */
  CESTX_SAMPLE_MS: z.coerce.number().int().min(100).max(600_000).default(5000),
  /** Handed on to functions, so that their spans join ours. */
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
});
export type MachinesConfig = z.output<typeof machinesConfig>;
