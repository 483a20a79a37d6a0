import { availableParallelism } from 'node:os';

import { z } from 'zod';

import { durationSchema, registryVariables, sizeSchema } from '#contracts';

const hostsSchema = z.string().transform((text) =>
  text
    .split(',')
    .map((host) => host.trim().toLowerCase())
    .filter(Boolean),
);

export const templatesConfig = z.object({
  CESTX_DATA: z.string().min(1).default('.cestx'),
  /** The base image of Node.js functions; with none, `cestx/node:24` where it was made, else `node:24-slim`. */
  CESTX_IMAGE_NODE: z.string().default(''),
  /** The same for Python (`cestx/python:3`, `python:3-slim`) and Go (`cestx/go:1`, `golang:1`). */
  CESTX_IMAGE_PYTHON: z.string().default(''),
  CESTX_IMAGE_GO: z.string().default(''),
  /** Certificates that builds trust besides the public ones, as a company's proxy needs; PEM. */
  CESTX_BUILD_CA_FILE: z.string().default(''),
  /** What our own Node.js was told to trust is trusted by builds as well, unless the variable above says otherwise. */
  NODE_EXTRA_CA_CERTS: z.string().default(''),
  /** From the moment a build starts; waiting for its turn does not count. */
  CESTX_BUILD_TIMEOUT: durationSchema.prefault('10m'),
  /** How builds reach the network, in the usual form; handed to them, and not left in what they make. */
  HTTP_PROXY: z.string().default(''),
  HTTPS_PROXY: z.string().default(''),
  NO_PROXY: z.string().default(''),
  CESTX_BUILD_MEMORY: sizeSchema.prefault('2Gi'),
  /** Cores one build may use. */
  CESTX_BUILD_CPU: z.coerce.number().min(0.1).max(64).default(1),
  /** What one build may write. */
  CESTX_BUILD_DISK: sizeSchema.prefault('10Gi'),
  /** Builds that run at once. */
  CESTX_BUILDS: z.coerce.number().int().min(1).max(64).default(availableParallelism()),
  /** Hosts that git sources may come from, `host` or `host:port`, over https and at public addresses. */
  CESTX_GIT_HOSTS: hostsSchema.prefault('github.com,gitlab.com,bitbucket.org,codeberg.org'),
  /** Hosts of one's own network, which may be at private addresses and speak plain http. */
  CESTX_GIT_PRIVATE_HOSTS: hostsSchema.prefault(''),
  /** For all of one fetch; and how much may come over the network. */
  CESTX_GIT_TIMEOUT: durationSchema.refine((ms) => ms <= 300_000, 'must be at most 5m').prefault('60s'),
  CESTX_GIT_MAX_SIZE: sizeSchema.prefault('128Mi'),
  /** What images and caches may take on the disk before those that no revision needs are removed. */
  CESTX_DISK_BUDGET: sizeSchema.prefault('20Gi'),
  /** How long a source that no build needs is kept, counted from when it was last uploaded. */
  CESTX_SOURCE_GRACE: durationSchema.refine((ms) => ms >= 60_000, 'must be at least 1m').prefault('1h'),
  ...registryVariables,
  /** `unix:///path` or `tcp://host:port`. */
  DOCKER_HOST: z.string().default('unix:///var/run/docker.sock'),
  /** Where npm is looked for when builds run as processes. */
  PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
});
export type TemplatesConfig = z.output<typeof templatesConfig>;
