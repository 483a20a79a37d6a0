import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';

import type { FastifyRequest } from 'fastify';

import { CestxError } from '#contracts';
import type { Objects } from '#messaging';

import { discardBody } from '../discard-body.ts';

export interface ReceivedParts {
  /** The parts that are text, by name. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  /** The part `source` lies in the object store as `uploads/<uploadId>`; null when there was none. */
  readonly uploadId: string | null;
}

/** Bytes of one text; far more than any reader would want to see. */
const maxText = 256 * 1024;
/** Bytes that the multipart form itself may take. */
const framing = 64 * 1024;

/**
 * Receives a form of texts and a `source`, which streams into the object store, and hands them to `use`. Nothing of the
 * source stays under `uploads/`, however this ends.
 */
export async function receiveParts<T>(
  request: FastifyRequest,
  services: { objects: Objects; maxUpload: number },
  names: readonly string[],
  use: (parts: ReceivedParts) => Promise<T>,
): Promise<T> {
  if (!request.isMultipart()) {
    throw new CestxError('bad-request', 'The body must be multipart/form-data with the part `source`.');
  }
  const { objects, maxUpload } = services;
  if (Number(request.headers['content-length']) > maxUpload + maxText + framing) {
    discardBody(request.raw);
    throw tooLarge(maxUpload);
  }
  const uploadId = randomUUID();
  const texts: Record<string, string> = {};
  let stored = false;
  try {
    // More parts than are expected may come in, to be named when they are refused.
    const limits = { files: 4, fields: 8, parts: 12, fileSize: maxUpload, fieldSize: maxText };
    for await (const part of request.parts({ limits })) {
      if (part.fieldname === 'source' && part.type === 'file' && !stored) {
        stored = true;
        await store(objects, `uploads/${uploadId}`, part.file, maxUpload);
      } else if (names.includes(part.fieldname) && texts[part.fieldname] === undefined) {
        texts[part.fieldname] = part.type === 'file' ? await readText(part.file) : String(part.value);
      } else {
        if (part.type === 'file') part.file.resume();
        throw new CestxError(
          'bad-request',
          `The part "${part.fieldname}" is not expected; each of ${['source', ...names].join(', ')} may be sent once.`,
        );
      }
    }
    return await use({ texts, uploadId: stored ? uploadId : null });
  } finally {
    discardBody(request.raw);
    if (stored) await objects.remove(`uploads/${uploadId}`);
  }
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
    if (size > maxText) throw new CestxError('too-large', `A text is larger than ${maxText} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
