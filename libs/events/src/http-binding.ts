import { checkAttributes, invalid, type CloudEvent } from './cloud-event.ts';
import { decodeHeaderValue, encodeHeaderValue } from './header-values.ts';
import { batchMediaType, eventMediaType, readJsonBatch, readJsonEvent } from './json-format.ts';

export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

/**
 * The events of an HTTP message, binary, structured or a batch (CloudEvents HTTP binding 1.0); null when it carries none.
 * Throws `invalid-event`.
 */
export function readHttpEvents(headers: HttpHeaders, body: Buffer): CloudEvent[] | null {
  const contentType = single(headers['content-type']);
  const mediaType = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === eventMediaType) return [readJsonEvent(parseJson(body))];
  if (mediaType === batchMediaType) return readJsonBatch(parseJson(body));
  if (mediaType?.startsWith('application/cloudevents')) {
    throw invalid(`${mediaType} is not supported; use ${eventMediaType} or ${batchMediaType}.`);
  }
  if (headers['ce-specversion'] === undefined) return null;
  const attributes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('ce-') || value === undefined) continue;
    if (name === 'ce-datacontenttype') throw invalid('over HTTP, "datacontenttype" is the Content-Type.');
    attributes[name.slice(3)] = decodeHeaderValue(single(value) ?? '');
  }
  if (contentType !== undefined) attributes['datacontenttype'] = contentType;
  return [{ attributes: checkAttributes(attributes), data: body.length > 0 ? body : null }];
}

/** Headers that carry the event in binary mode; the data is the body. */
export function httpHeadersOf({ attributes }: CloudEvent): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'datacontenttype') headers['content-type'] = value;
    else headers[`ce-${name}`] = encodeHeaderValue(value);
  }
  return headers;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    throw invalid('the body is not JSON.');
  }
}
