const greeting = process.env.GREETING ?? 'Hello';

/** @type {import('node:http').RequestListener} */
export function app(request, response) {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  if (pathname === '/_/health') return response.end('ok\n');
  console.log(`${request.method} ${request.url}`);
  if (pathname !== '/') return response.writeHead(404).end('There is nothing here.\n');
  response.end(`${greeting}, ${searchParams.get('name') || 'world'}!\n`);
}
