import { checkAttributes, invalid, type CloudEvent } from './cloud-event.ts';
import { decodeHeaderValue, encodeHeaderValue } from './header-values.ts';
import { eventMediaType, readJsonEvent } from './json-format.ts';

/** What is known of a message that is no CloudEvent, to make one of it. */
export interface MessageOrigin {
  readonly stream: string;
  readonly sequence: number;
  /** What its `type` should be. */
  readonly type: string;
  readonly time: Date;
}

/** Headers that carry the event over NATS in binary mode (CloudEvents NATS binding 1.0); the data is the payload. */
export function natsHeadersOf({ attributes }: CloudEvent): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encodeHeaderValue(value)]),
  );
}

/**
 * The event of a message, binary or structured. A message of any other shape becomes one whose data it is: its id and source
 * are its place in the stream, so each delivery of it is the same event. Throws `invalid-event` when it says it is one and is not.
 */
export function readNatsEvent(
  headers: Readonly<Record<string, string>>,
  data: Buffer,
  origin: MessageOrigin,
): CloudEvent {
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const contentType = named.get('content-type');
  if (contentType?.split(';', 1)[0]?.trim().toLowerCase() === eventMediaType) {
    return readJsonEvent(parseJson(data));
  }
  if (!named.has('ce-specversion')) return wrapped(data, contentType, origin);
  const attributes: Record<string, unknown> = {};
  for (const [name, value] of named) {
    if (name.startsWith('ce-')) attributes[name.slice(3)] = decodeHeaderValue(value);
  }
  return { attributes: checkAttributes(attributes), data: data.length > 0 ? data : null };
}

function wrapped(data: Buffer, contentType: string | undefined, origin: MessageOrigin): CloudEvent {
  const attributes = checkAttributes({
    specversion: '1.0',
    id: `${origin.stream}-${origin.sequence}`,
    source: `/streams/${encodeURIComponent(origin.stream)}`,
    type: origin.type,
    time: origin.time.toISOString(),
    datacontenttype: contentType ?? (looksLikeJson(data) ? 'application/json' : 'application/octet-stream'),
  });
  return { attributes, data: data.length > 0 ? data : null };
}

function looksLikeJson(data: Buffer): boolean {
  try {
    JSON.parse(data.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8')) as unknown;
  } catch {
    throw invalid('the payload is not JSON.');
  }
}
