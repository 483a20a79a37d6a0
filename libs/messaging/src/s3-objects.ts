import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

import { AwsClient } from 'aws4fetch';

import { CestxError } from '#contracts';

import { Objects, type StoredObject } from './objects.ts';

export interface S3Options {
  /** `https://host/bucket`; the bucket has to exist. */
  url: string;
  region: string;
  accessKey: string;
  secretKey: string;
}

/** Bytes of a part of a multipart upload; what is smaller goes in one request. S3 wants at least 5 MiB. */
const partBytes = 8 * 1024 ** 2;
const requestMs = 120_000;
const retries = 3;

/**
 * Objects in a bucket of any server that speaks S3 (signature version 4, path style). A body whose length is not known
 * beforehand is sent in parts, so that no object has to fit into memory.
 */
export class S3Objects extends Objects {
  readonly #bucket: string;
  readonly #client: AwsClient;

  constructor({ url, region, accessKey, secretKey }: S3Options) {
    super();
    this.#bucket = url.replace(/\/+$/, '');
    this.#client = new AwsClient({
      accessKeyId: accessKey,
      secretAccessKey: secretKey,
      region,
      service: 's3',
      retries,
    });
  }

  async put(name: string, data: Readable): Promise<{ size: number }> {
    let upload: { id: string; tags: string[] } | undefined;
    let size = 0;
    try {
      for await (const { part, last } of inParts(data)) {
        size += part.length;
        if (last && !upload) {
          await this.#ask('PUT', this.#address(name), part);
          return { size };
        }
        upload ??= { id: await this.#beginUpload(name), tags: [] };
        if (part.length === 0) continue;
        const query = { partNumber: String(upload.tags.length + 1), uploadId: upload.id };
        const answer = await this.#ask('PUT', this.#address(name, query), part);
        upload.tags.push(answer.headers.get('etag') ?? '');
      }
      if (upload) await this.#completeUpload(name, upload);
      return { size };
    } catch (error) {
      data.destroy();
      if (upload)
        await this.#ask('DELETE', this.#address(name, { uploadId: upload.id })).catch(() => undefined);
      throw error;
    }
  }

  async get(name: string): Promise<Readable | null> {
    const answer = await this.#ask('GET', this.#address(name), undefined, [404]);
    if (answer.status === 404 || !answer.body) return null;
    return Readable.fromWeb(answer.body as NodeReadableStream<Uint8Array>);
  }

  async exists(name: string): Promise<boolean> {
    return (await this.#ask('HEAD', this.#address(name), undefined, [404])).status !== 404;
  }

  async remove(name: string): Promise<void> {
    await this.#ask('DELETE', this.#address(name), undefined, [404]);
  }

  async list(prefix = ''): Promise<StoredObject[]> {
    const found: StoredObject[] = [];
    let token: string | undefined;
    do {
      const query = { 'list-type': '2', prefix, ...(token ? { 'continuation-token': token } : {}) };
      const text = await (await this.#ask('GET', this.#address('', query))).text();
      for (const [entry] of text.matchAll(/<Contents>[^]*?<\/Contents>/g)) {
        found.push({
          name: fieldOf(entry, 'Key') ?? '',
          size: Number(fieldOf(entry, 'Size')),
          modifiedAt: new Date(fieldOf(entry, 'LastModified') ?? 0),
        });
      }
      token = fieldOf(text, 'NextContinuationToken');
    } while (token);
    return found;
  }

  async #beginUpload(name: string): Promise<string> {
    const text = await (await this.#ask('POST', this.#address(name, { uploads: '' }))).text();
    const id = fieldOf(text, 'UploadId');
    if (id) return id;
    throw unavailable('it began no upload', text);
  }

  async #completeUpload(name: string, { id, tags }: { id: string; tags: string[] }): Promise<void> {
    const parts = tags.map(
      (tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag}</ETag></Part>`,
    );
    const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
    const text = await (await this.#ask('POST', this.#address(name, { uploadId: id }), body)).text();
    // S3 answers 200 before it has put the parts together, and tells in the body when that failed.
    if (text.includes('<Error>')) throw unavailable('it did not complete an upload', text);
  }

  #address(name: string, query: Record<string, string> = {}): string {
    const path = name.split('/').map(encodeURIComponent).join('/');
    const search = new URLSearchParams(query).toString();
    return `${this.#bucket}/${path}${search ? `?${search}` : ''}`;
  }

  async #ask(
    method: string,
    address: string,
    body?: Buffer,
    expected: readonly number[] = [],
  ): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.#client.fetch(address, {
        method,
        ...(body ? { body: new Uint8Array(body) } : {}),
        // The server checks what arrived against this.
        headers: {
          'x-amz-content-sha256': createHash('sha256')
            .update(body ?? '')
            .digest('hex'),
        },
        signal: AbortSignal.timeout(requestMs),
      });
    } catch (error) {
      throw unavailable('it does not answer', error);
    }
    if (answer.ok || expected.includes(answer.status)) return answer;
    const text = await answer.text();
    const code = fieldOf(text, 'Code') ?? String(answer.status);
    if (answer.status === 507 || /QuotaExceeded|StorageFull|InsufficientCapacity/i.test(code)) {
      throw new CestxError('disk-full', 'The object store is full; nothing was kept.', { detail: text });
    }
    if (answer.status === 401 || answer.status === 403)
      throw unavailable(`it refuses CESTX_S3_ACCESS_KEY (${code})`, text);
    if (code === 'NoSuchBucket' || answer.status === 404)
      throw unavailable(`there is no such bucket as CESTX_S3_URL names (${code})`, text);
    throw unavailable(`it answered ${code}`, text);
  }
}

function unavailable(why: string, cause: unknown): CestxError {
  const detail = cause instanceof Error ? String(cause.cause ?? cause) : String(cause);
  return new CestxError('unavailable', `The object store cannot be used: ${why}.`, {
    retryable: true,
    detail,
    cause,
  });
}

/** Cuts a stream into parts of equal length; the last one may be shorter, or empty. */
async function* inParts(data: Readable): AsyncGenerator<{ part: Buffer; last: boolean }> {
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of data) {
    chunks.push(Buffer.from(chunk as Uint8Array));
    length += (chunk as Uint8Array).length;
    while (length > partBytes) {
      const whole = Buffer.concat(chunks);
      yield { part: whole.subarray(0, partBytes), last: false };
      chunks = [whole.subarray(partBytes)];
      length -= partBytes;
    }
  }
  yield { part: Buffer.concat(chunks), last: true };
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text of the first element of that name; answers of S3 are flat enough for that. */
function fieldOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replaceAll(/&(?:#(\d+)|(\w+));/g, (whole, code?: string, entity?: string) =>
    code ? String.fromCodePoint(Number(code)) : (entities[entity ?? ''] ?? whole),
  );
}
