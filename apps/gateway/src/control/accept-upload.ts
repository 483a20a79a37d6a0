import type { FastifyRequest } from 'fastify';

import {
  AcceptGitSource,
  AcceptSource,
  CestxError,
  parseManifest,
  substitute,
  type Manifest,
} from '#contracts';
import type { Messenger, Objects } from '#messaging';

import { receiveParts, type ReceivedParts } from './receive-parts.ts';

export interface UploadServices {
  objects: Objects;
  messenger: Messenger;
  /** Bytes. */
  maxUpload: number;
}

export interface AcceptedUpload {
  manifest: Manifest;
  sourceDigest: string;
}

/** Milliseconds in which a source is checked. */
const checkPatience = 30_000;
/** The same with the longest that CESTX_GIT_TIMEOUT allows, and a wait for others before it. */
const fetchPatience = 2 * 300_000 + checkPatience;

/** Takes the parts of a deploy: a source, or where in git one is. It is kept and checked, the manifest read. */
export async function acceptUpload(
  request: FastifyRequest,
  services: UploadServices,
): Promise<AcceptedUpload> {
  const texts = ['manifest', 'git', 'ref', 'folder', 'name'];
  return await receiveParts(request, services, texts, async (parts) => {
    const { manifest, name } = parts.texts;
    const given = manifest === undefined ? undefined : readManifest(manifest);
    const source = await keepSource(parts, services.messenger);
    return { manifest: given ?? manifestOf(source.manifest, name), sourceDigest: source.digest };
  });
}

function manifestOf(inSource: string | undefined, name: string | undefined): Manifest {
  if (inSource === undefined && name === undefined) {
    throw new CestxError(
      'invalid-manifest',
      'There is no function.yaml in the source; put one there, or send a part `manifest` or `name`.',
    );
  }
  if (inSource === undefined) return parseManifest(JSON.stringify({ name }));
  if (name === undefined) return readManifest(inSource);
  throw new CestxError(
    'bad-request',
    'There is a function.yaml in the source, which says the name; leave out the part `name`.',
  );
}

async function keepSource(
  { texts, uploadId }: ReceivedParts,
  messenger: Messenger,
): Promise<{ digest: string; manifest?: string | undefined }> {
  const { git: url, ref, folder } = texts;
  if (url === undefined) {
    if (uploadId === null) throw noSource();
    if (ref === undefined && folder === undefined)
      return await messenger.ask(AcceptSource, { uploadId }, { timeoutMs: checkPatience });
    throw new CestxError('bad-request', 'The parts `ref` and `folder` are for a source from `git`.');
  }
  if (uploadId !== null) throw new CestxError('bad-request', 'Send either `source` or `git`, not both.');
  return await messenger.ask(AcceptGitSource, { url, ref, folder }, { timeoutMs: fetchPatience });
}

/** Takes a source alone, keeps and checks it, and answers its digest. */
export async function acceptSourceAlone(request: FastifyRequest, services: UploadServices): Promise<string> {
  return await receiveParts(request, services, [], async ({ uploadId }) => {
    if (uploadId === null) throw noSource();
    return (await services.messenger.ask(AcceptSource, { uploadId }, { timeoutMs: checkPatience })).digest;
  });
}

function noSource(): CestxError {
  return new CestxError('bad-request', 'The part `source` with the archive is missing.');
}

/** Variables are the caller's to fill in; here only their defaults are known, never the gateway's own environment. */
function readManifest(text: string): Manifest {
  return parseManifest(substitute(text, {}));
}
