import type { FastifyRequest } from 'fastify';

import { AcceptSource, CestxError, parseManifest, substitute, type Manifest } from '#contracts';
import type { Messenger, Objects } from '#messaging';

import { receiveParts } from './receive-parts.ts';

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

/** Takes the parts of a deploy; the source is kept and checked, the manifest read. */
export async function acceptUpload(
  request: FastifyRequest,
  services: UploadServices,
): Promise<AcceptedUpload> {
  return await receiveParts(request, services, ['manifest'], async ({ texts, uploadId }) => {
    if (uploadId === null) throw noSource();
    const given = texts['manifest'] === undefined ? undefined : readManifest(texts['manifest']);
    const { messenger } = services;
    const source = await messenger.ask(AcceptSource, { uploadId }, { timeoutMs: checkPatience });
    if (!given && source.manifest === undefined) {
      throw new CestxError(
        'invalid-manifest',
        'There is no function.yaml: neither a part `manifest` nor a file in the source.',
      );
    }
    return { manifest: given ?? readManifest(source.manifest ?? ''), sourceDigest: source.digest };
  });
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
