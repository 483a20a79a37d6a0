import type { IncomingMessage } from 'node:http';

/** Headers that speak about one connection only (RFC 9110, 7.6.1) and end here. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Request headers this side writes anew. */
const rewritten = new Set([
  ...hopByHop,
  'content-length',
  'expect',
  'forwarded',
  'host',
  'traceparent',
  'x-call-id',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);
/** Answer headers the gateway writes anew. */
const answered = new Set([...hopByHop, 'traceparent', 'x-call-id', 'x-duration-seconds']);

export interface CallHead {
  readonly callId: string;
  /** The host the caller asked for, as written in the request. */
  readonly host: string;
  /** Believe what a proxy in front of us says about the caller. */
  readonly trustProxy: boolean;
}

/** Names in a Connection header besides the usual; their headers are hop-by-hop too. */
function namedByConnection(value: string | undefined): ReadonlySet<string> | undefined {
  if (value === undefined || value === 'keep-alive' || value === 'close') return undefined;
  return new Set(value.split(',').map((name) => name.trim().toLowerCase()));
}

/** The request headers as the function gets them, flat: name, value, name, value. `traceparent` is for the caller of this to add. */
export function requestHeaders(request: IncomingMessage, head: CallHead): string[] {
  const raw = request.rawHeaders;
  const named = namedByConnection(request.headers.connection);
  const headers: string[] = ['host', head.host];
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as string;
    const lower = name.toLowerCase();
    if (rewritten.has(lower) || named?.has(lower)) continue;
    headers.push(name, raw[index + 1] as string);
  }
  const peer = request.socket.remoteAddress ?? 'unknown';
  const before = head.trustProxy ? request.headers : {};
  const node = peer.includes(':') ? `"[${peer}]"` : peer;
  const hop = `for=${node};host="${head.host}";proto=http`;
  const chain = before['x-forwarded-for'];
  headers.push(
    'x-call-id',
    head.callId,
    'x-forwarded-for',
    chain === undefined ? peer : `${String(chain)}, ${peer}`,
    'x-forwarded-host',
    String(before['x-forwarded-host'] ?? head.host),
    'x-forwarded-proto',
    String(before['x-forwarded-proto'] ?? 'http'),
    'forwarded',
    before.forwarded === undefined ? hop : `${before.forwarded}, ${hop}`,
  );
  return headers;
}

/** The answer's headers as the caller gets them, flat. `raw` alternates names and values as they came. */
export function answerHeaders(raw: readonly (Buffer | string)[]): {
  headers: string[];
  contentLength: number;
} {
  const headers: string[] = [];
  let contentLength = -1;
  let connection: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const name = text(raw[index]);
    const lower = name.toLowerCase();
    if (lower === 'connection') connection = text(raw[index + 1]).toLowerCase();
    if (answered.has(lower)) continue;
    const value = text(raw[index + 1]);
    if (lower === 'content-length') contentLength = Number(value);
    headers.push(name, value);
  }
  const named = namedByConnection(connection);
  if (!named) return { headers, contentLength };
  return {
    headers: headers.filter((_, index) => !named.has((headers[index - (index % 2)] as string).toLowerCase())),
    contentLength,
  };
}

function text(part: Buffer | string | undefined): string {
  return typeof part === 'string' ? part : (part?.toString('latin1') ?? '');
}
