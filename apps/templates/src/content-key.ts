import { createHash } from 'node:crypto';

import type { BuildContent } from './build.store.ts';

/** Builds that may share an artefact have the same key, so that they and its removal come one after the other. */
export function contentKey({ project, sourceDigest, driver }: BuildContent): string {
  return `${project}/${driver}/${sourceDigest}`;
}

/** A short name for all that a result follows from. */
export function contentOf(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
