const http = require('node:http');

const workMs = Number(process.env.JOB_MS ?? 5000);

http
  .createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const { job } = JSON.parse(body || '{}');
      if (!job) return response.writeHead(400).end('There is no job in it.\n');
      setTimeout(() => {
        const waitedMs = Date.now() - Date.parse(request.headers['ce-time']);
        console.log(JSON.stringify({ job, machine: process.env.CESTX_MACHINE, waitedMs }));
        response.end();
      }, workMs);
    });
  })
  .listen(process.env.PORT);
