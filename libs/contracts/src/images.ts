import { z } from 'zod';

import { CestxError } from './errors.ts';

const host = /^(localhost|[\w-]+(\.[\w-]+)+|[\w-]+(?=:)|\[[0-9a-f:]+\])(:\d{1,5})?$/i;
const repository = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;

/** The name of an image, taken apart as the distribution project's reference grammar does. */
export interface ImageName {
  /** Host and port; null for the engine's own default, Docker Hub. */
  readonly registry: string | null;
  readonly repository: string;
  readonly tag: string | null;
  /** `sha256:…` of the manifest. */
  readonly digest: string | null;
}

/** Reads `[registry/]name[:tag][@sha256:…]`. Throws `invalid-manifest` for anything else, such as the bare id of an image. */
export function parseImageName(text: string): ImageName {
  const [, name = '', tag = null, digest = null] =
    /^([^@]*?)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(text) ?? [];
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const registry = host.test(first) ? first : null;
  const path = registry === null ? name : name.slice(slash + 1);
  if (!repository.test(path) || path === 'sha256' || /^[0-9a-f]{12,64}$/.test(path)) {
    throw new CestxError(
      'invalid-manifest',
      `image: "${text.slice(0, 200)}" is not the name of an image; write [registry/]name[:tag], or name@sha256:… to pin one.`,
    );
  }
  return { registry, repository: path, tag, digest };
}

/** The registry that built images are pushed to and that other hosts pull them from; an empty address is none. */
export const registryVariables = {
  /** `registry.example.com/team` or `127.0.0.1:5000`. */
  CESTX_REGISTRY: z
    .string()
    .regex(/^$|^[^\s/@]+(\/[a-z0-9._/-]+)?$/, 'must be host[:port][/path], without https://')
    .default(''),
  CESTX_REGISTRY_USER: z.string().default(''),
  CESTX_REGISTRY_PASSWORD: z.string().default(''),
};

export interface Registry {
  readonly host: string;
  /** Under which repositories lie: the host, and the path when there is one. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
}

export function registryFrom(config: {
  [name in keyof typeof registryVariables]: string;
}): Registry | null {
  const address = config.CESTX_REGISTRY.replace(/\/+$/, '');
  if (address === '') return null;
  return {
    host: address.split('/')[0] ?? '',
    address,
    user: config.CESTX_REGISTRY_USER,
    password: config.CESTX_REGISTRY_PASSWORD,
  };
}

/** What an engine shows a registry; only our own registry ever sees our password. */
export function credentialsFor(
  image: string,
  registry: Registry | null,
): { username: string; password: string; serveraddress: string } | undefined {
  if (!registry?.user || parseImageName(image).registry !== registry.host) return undefined;
  return { username: registry.user, password: registry.password, serveraddress: registry.host };
}
