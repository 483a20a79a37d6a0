import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import type { FastifyRequest } from 'fastify';

import { AcceptSource, CestxError, parseManifest, substitute, type Manifest } from '#contracts';
import type { Messenger, Objects } from '#messaging';

import { discardBody } from '../discard-body.ts';

export interface AcceptedUpload {
  manifest: Manifest;
  sourceDigest: string;
}

/** Bytes of a manifest; far more than any reader would want to see. */
const maxManifest = 256 * 1024;
/** Bytes that the multipart form itself may take. */
const framing = 64 * 1024;

/**
 * Takes the parts of a deploy: the source streams into the object store and is checked there; nothing of it stays under
 * `uploads/`, however this ends.
 */
export async function acceptUpload(
  request: FastifyRequest,
  services: { objects: Objects; messenger: Messenger; maxUpload: number },
): Promise<AcceptedUpload> {
  if (!request.isMultipart()) {
    throw new CestxError('bad-request', 'The body must be multipart/form-data with the part `source`.');
  }
  const { objects, messenger, maxUpload } = services;
  if (Number(request.headers['content-length']) > maxUpload + maxManifest + framing) {
    discardBody(request.raw);
    throw tooLarge(maxUpload);
  }
  const uploadId = randomUUID();
  const name = `uploads/${uploadId}`;
  let text: string | undefined;
  let stored = false;
  try {
    // More parts than are expected may come in, to be named when they are refused.
    const limits = { files: 4, fields: 4, parts: 8, fileSize: maxUpload, fieldSize: maxManifest };
    for await (const part of request.parts({ limits })) {
      if (part.fieldname === 'source' && part.type === 'file' && !stored) {
        stored = true;
        await store(objects, name, part.file, maxUpload);
      } else if (part.fieldname === 'manifest' && text === undefined) {
        text = part.type === 'file' ? await readText(part.file) : String(part.value);
      } else {
        if (part.type === 'file') part.file.resume();
        throw new CestxError(
          'bad-request',
          `The part "${part.fieldname}" is not expected; send one \`source\` and at most one \`manifest\`.`,
        );
      }
    }
    if (!stored) throw new CestxError('bad-request', 'The part `source` with the archive is missing.');
    const given = text === undefined ? undefined : readManifest(text);
    const source = await messenger.ask(AcceptSource, { uploadId }, { timeoutMs: 30_000 });
    if (!given && source.manifest === undefined) {
      throw new CestxError(
        'invalid-manifest',
        'There is no function.yaml: neither a part `manifest` nor a file in the source.',
      );
    }
    return { manifest: given ?? readManifest(source.manifest ?? ''), sourceDigest: source.digest };
  } finally {
    discardBody(request.raw);
    if (stored) await objects.remove(name);
  }
}

/** Variables are the caller's to fill in; here only their defaults are known, never the gateway's own environment. */
function readManifest(text: string): Manifest {
  return parseManifest(substitute(text, {}));
}

async function store(
  objects: Objects,
  name: string,
  file: Readable & { truncated?: boolean },
  limit: number,
): Promise<void> {
  await objects.put(name, file);
  if (file.truncated) throw tooLarge(limit);
}

function tooLarge(limit: number): CestxError {
  return new CestxError('too-large', `The source is larger than ${limit} bytes.`);
}

async function readText(file: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of file as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxManifest)
      throw new CestxError('too-large', `The manifest is larger than ${maxManifest} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
