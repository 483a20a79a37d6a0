import { checkAttributes, invalid, isJson, type CloudEvent } from './cloud-event.ts';

export const eventMediaType = 'application/cloudevents+json';
export const batchMediaType = 'application/cloudevents-batch+json';

/** Reads an event in the JSON format (CloudEvents 1.0, "JSON Event Format"). Throws `invalid-event`. */
export function readJsonEvent(value: unknown): CloudEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid('it must be a JSON object.');
  }
  const { data, data_base64: base64, ...attributes } = value as Record<string, unknown>;
  if (data !== undefined && base64 !== undefined) throw invalid('it has both "data" and "data_base64".');
  const checked = checkAttributes(attributes);
  return { attributes: checked, data: readData(checked['datacontenttype'], data, base64) };
}

/** Reads a batch; an empty one is valid. Throws `invalid-event` when one of them is wrong. */
export function readJsonBatch(value: unknown): CloudEvent[] {
  if (!Array.isArray(value)) throw invalid('a batch must be a JSON array.');
  return value.map(readJsonEvent);
}

export function writeJsonEvent({ attributes, data }: CloudEvent): Record<string, unknown> {
  if (data === null) return { ...attributes };
  const type = attributes['datacontenttype'];
  if (isJson(type)) {
    const parsed = parse(data.toString('utf8'));
    if (parsed !== undefined) return { ...attributes, data: parsed };
  } else if (type?.startsWith('text/') && isUtf8(data)) {
    return { ...attributes, data: data.toString('utf8') };
  }
  return { ...attributes, data_base64: data.toString('base64') };
}

function readData(type: string | undefined, data: unknown, base64: unknown): Buffer | null {
  if (base64 !== undefined && base64 !== null) {
    if (typeof base64 !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
      throw invalid('"data_base64" must be text in base64.');
    }
    return Buffer.from(base64, 'base64');
  }
  if (data === undefined || (data === null && base64 === undefined)) return null;
  // A string of a type that is not JSON is the data itself; everything else is a JSON value.
  return typeof data === 'string' && !isJson(type) ? Buffer.from(data) : Buffer.from(JSON.stringify(data));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function isUtf8(data: Buffer): boolean {
  return Buffer.from(data.toString('utf8')).equals(data);
}
