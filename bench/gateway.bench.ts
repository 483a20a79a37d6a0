import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import autocannon from 'autocannon';

import { defaultScale, endpointsBucket, routesBucket } from '#contracts';
import { connectNats } from '#messaging';
import { eventually, freePort, startTestServers } from '#testing';

import { median, report } from './report.ts';

const rounds = 3;
const secondsEach = 4;
const connections = 32;
const roundTrips = 4000;
/** Calls at a time of one machine: what a user may set is on, as traces, metrics and reports of activity are. */
const concurrency = 100;

/** A function as small as can be, so that what is measured is the way to it. */
const hello = `require('node:http').createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 6 });
  response.end('hello\\n');
}).listen(Number(process.argv[1]), '127.0.0.1');`;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
const servers = await startTestServers();
const nats = await connectNats(servers.natsUrl, 'bench');
const children: ChildProcess[] = [];
const ports = { direct: await freePort(), gateway: await freePort(), nginx: await freePort() };

function run(command: string, args: string[], environment: Record<string, string> = {}): void {
  const env = { PATH: process.env['PATH'], ...environment };
  children.push(spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], env }));
}

run(process.execPath, ['-e', hello, String(ports.direct)]);
run(
  process.execPath,
  [
    '--enable-source-maps',
    '--import',
    join(import.meta.dirname, '../dist/libs/boot/src/telemetry.js'),
    join(import.meta.dirname, '../dist/apps/gateway/src/main.js'),
  ],
  {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('gateway'),
    CESTX_HOST: '127.0.0.1',
    CESTX_PORT: String(ports.gateway),
    CESTX_ADMIN_KEY_FILE: join(folder, 'admin-key'),
    CESTX_LOG_LEVEL: 'warn',
  },
);
const hasNginx = await startNginx();
const route = {
  project: 'default',
  function: 'hello',
  host: 'hello.localhost',
  traffic: [{ revision: 'hello-v1', percent: 100 }],
  timeout: 30_000,
  concurrency,
  scale: defaultScale,
};
const endpoint = {
  machine: 'm1',
  revision: 'hello-v1',
  address: `127.0.0.1:${ports.direct}`,
  state: 'ready',
  concurrency,
};

try {
  const targets = {
    direct: { port: ports.direct, path: '/' },
    gateway: { port: ports.gateway, path: '/function/hello' },
    ...(hasNginx ? { nginx: { port: ports.nginx, path: '/' } } : {}),
  };
  await eventually(() => answers(targets.direct), { timeoutMs: 20_000 });
  await eventually(() => fetch(`http://127.0.0.1:${ports.gateway}/healthz`), { timeoutMs: 20_000 });
  nats.publish(`$KV.${routesBucket}.default.hello`, JSON.stringify(route));
  nats.publish(`$KV.${endpointsBucket}.default.hello.m1`, JSON.stringify(endpoint));
  for (const target of Object.values(targets)) await eventually(() => answers(target), { timeoutMs: 20_000 });

  const rates: Record<string, number[]> = {};
  const delays: Record<string, number[]> = {};
  for (const target of Object.values(targets)) await rateOf(target, 2);
  for (let round = 0; round < rounds; round++) {
    for (const [name, target] of Object.entries(targets)) {
      (rates[name] ??= []).push(await rateOf(target, secondsEach));
      (delays[name] ??= []).push(await delayOf(target));
    }
  }
  const rate = (name: string) => median(rates[name] ?? []);
  const delay = (name: string) => median(delays[name] ?? []);
  const perSecond = { value: rate('gateway'), unit: 'req/s' };
  const share = rate('gateway') / rate('direct');
  report({
    name: `gateway, ${connections} connections, against direct`,
    ...perSecond,
    bound: rate('direct'),
    gate: '>= 0.30',
    met: share >= 0.3,
  });
  if (hasNginx) {
    const ofNginx = rate('gateway') / rate('nginx');
    report({
      name: `gateway, ${connections} connections, against nginx`,
      ...perSecond,
      bound: rate('nginx'),
      gate: '>= 0.55',
      met: ofNginx >= 0.55,
    });
    report({ name: 'nginx, added p50, 1 connection', value: delay('nginx') - delay('direct'), unit: 'ms' });
  }
  const added = delay('gateway') - delay('direct');
  report({
    name: 'gateway, added p50, 1 connection',
    value: added,
    unit: 'ms',
    gate: '<= 0.25 ms',
    met: added <= 0.25,
  });
} finally {
  for (const child of children) child.kill('SIGTERM');
  for (const child of children) if (child.exitCode === null) await once(child, 'exit');
  await nats.close();
  await servers.stop();
  await rm(folder, { recursive: true, force: true });
}

interface Target {
  port: number;
  path: string;
}

async function answers({ port, path }: Target): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).status === 200;
}

async function rateOf({ port, path }: Target, duration: number): Promise<number> {
  const result = await autocannon({ url: `http://127.0.0.1:${port}${path}`, connections, duration });
  if (result.errors > 0 || result.non2xx > 0)
    throw new Error(`${result.errors + result.non2xx} calls went wrong`);
  return result.requests.average;
}

/** Milliseconds of a round trip, p50, on one kept connection; written on a bare socket because a client library costs as much again. */
async function delayOf({ port, path }: Target): Promise<number> {
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  await once(socket, 'connect');
  const times: number[] = [];
  for (let turn = 0; turn < roundTrips; turn++) {
    const begun = performance.now();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    let received = '';
    while (!received.endsWith('hello\n')) received += String((await once(socket, 'data'))[0]);
    times.push(performance.now() - begun);
  }
  socket.destroy();
  return median(times.slice(roundTrips / 4));
}

async function startNginx(): Promise<boolean> {
  const binary = process.env['NGINX_BIN'] ?? 'nginx';
  try {
    execFileSync(binary, ['-v'], { stdio: 'ignore' });
  } catch {
    return false;
  }
  const configuration = `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s; keepalive_requests 1000000000;
  upstream hello { server 127.0.0.1:${ports.direct}; keepalive 64; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${ports.nginx};
    location / { proxy_pass http://hello; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`;
  await writeFile(join(folder, 'nginx.conf'), configuration);
  run(binary, ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  return true;
}
