import { request } from 'node:http';

export interface Answer {
  status: number;
  body: string;
  ms: number;
  traceId: string | null;
}

export interface Call {
  /** Where the gateway listens. */
  gateway: string;
  path: string;
  /** The name that is called; it travels as `Host`, because `*.localhost` does not resolve on every machine. */
  host?: string;
  body: object;
}

/** POSTs JSON the way a stranger would: no key, no client library. */
export function callByName({ gateway, path, host, body }: Call): Promise<Answer> {
  const { port } = new URL(gateway);
  const text = JSON.stringify(body);
  const begin = performance.now();
  return new Promise((answered, failed) => {
    const call = request({
      host: '127.0.0.1',
      port,
      path,
      method: 'POST',
      agent: false,
      headers: {
        ...(host ? { host } : {}),
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      },
    });
    call.on('error', failed);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', failed);
      response.on('end', () =>
        answered({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks).toString('utf8'),
          ms: performance.now() - begin,
          traceId: String(response.headers['traceparent'] ?? '').split('-')[1] ?? null,
        }),
      );
    });
    call.end(text);
  });
}
