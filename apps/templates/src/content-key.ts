import type { BuildContent } from './build.store.ts';

/** Builds with the same key have the same result. */
export function contentKey({ project, sourceDigest, driver }: BuildContent): string {
  return `${project}/${driver}/${sourceDigest}`;
}
