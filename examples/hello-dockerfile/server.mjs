import { createServer } from 'node:http';

const greeting = process.env.GREETING ?? 'Hello';
const port = Number(process.env.PORT ?? 8080);

export const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const plain = { 'content-type': 'text/plain; charset=utf-8' };
  if (pathname === '/_/health') return response.writeHead(200, plain).end('ok\n');
  console.log(
    JSON.stringify({
      level: 'info',
      message: `${request.method} ${request.url}`,
      traceparent: request.headers.traceparent,
    }),
  );
  response.writeHead(200, plain).end(`${greeting}, ${searchParams.get('name') ?? 'Dockerfile'}`);
});

server.listen(port, '0.0.0.0', () =>
  console.log(JSON.stringify({ level: 'info', message: `listening on ${port}` })),
);

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
