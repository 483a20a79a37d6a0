import { createServer } from 'node:http';
import * as v from 'valibot';

const greeting = process.env.GREETING ?? 'Hello';
const port = Number(process.env.PORT ?? 8080);
const maxBodyBytes = 64 * 1024;

const Body = v.object({
  name: v.pipe(
    v.string('name must be a text'),
    v.trim(),
    v.nonEmpty('name must not be empty'),
    v.maxLength(200),
  ),
});

const server = createServer(async (request, response) => {
  const startedAt = performance.now();
  response.on('close', () => log(request, response, performance.now() - startedAt));
  try {
    const [status, text] = await answer(request);
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text);
  } catch (error) {
    console.error(JSON.stringify({ level: 'error', message: error.message }));
    response.writeHead(500, { 'content-type': 'text/plain; charset=utf-8' }).end('Internal error\n');
  }
});

/** @param {import('node:http').IncomingMessage} request */
async function answer(request) {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname === '/_/health') return [200, 'ok\n'];
  // As /function/echo-name it is called at its root.
  if (pathname !== '/echo-name' && pathname !== '/')
    return [404, 'Try POST /echo-name with {"name": "Ada"}\n'];
  if (request.method !== 'POST') return [405, 'POST a JSON body such as {"name": "Ada"}\n'];

  const text = await readBody(request);
  if (text === undefined) return [413, 'The body is too large\n'];
  let json;
  try {
    json = JSON.parse(text);
  } catch {
    return [400, 'The body is not valid JSON\n'];
  }
  const body = v.safeParse(Body, json);
  if (!body.success) return [400, `${body.issues[0].message}\n`];
  return [200, `${greeting}, ${body.output.name}`];
}

async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** One JSON line per request; the traceparent ties it to the platform's trace of the call. */
function log(request, response, ms) {
  if (request.url === '/_/health') return;
  console.log(
    JSON.stringify({
      level: 'info',
      message: `${request.method} ${request.url} ${response.statusCode}`,
      ms: Math.round(ms * 10) / 10,
      callId: request.headers['x-call-id'],
      traceparent: request.headers.traceparent,
    }),
  );
}

server.listen(port, '0.0.0.0', () => {
  console.log(JSON.stringify({ level: 'info', message: `listening on ${port}` }));
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    // Requests that are being answered are finished; idle connections are closed at once.
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
