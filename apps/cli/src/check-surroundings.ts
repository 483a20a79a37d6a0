import { Resolver } from 'node:dns/promises';
import { statfs } from 'node:fs/promises';
import { request } from 'node:http';
import { resolve } from 'node:path';

export interface Finding {
  name: string;
  /** `warning` keeps nothing from working. */
  state: 'ok' | 'warning' | 'failed';
  detail: string;
  /** What to do about it. */
  help?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const oldestNode = { major: 22, minor: 19 };
const gibibyte = 1024 ** 3;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  const fits = major > oldestNode.major || (major === oldestNode.major && minor >= oldestNode.minor);
  if (fits) return { name: 'node', state: 'ok', detail: version };
  return {
    name: 'node',
    state: 'failed',
    detail: `${version} is older than ${oldestNode.major}.${oldestNode.minor}`,
    help: '`npm start` and `npm run demo` bring Node 24 of their own; for the rest put .tools/node/bin first in PATH.',
  };
}

/** Asks the platform's own DNS server for its zone. */
export async function checkDns(environment: Environment): Promise<Finding> {
  const port = environment['CESTX_DNS_PORT'] || '5300';
  const zone = environment['CESTX_DOMAIN'] || 'localhost';
  const resolver = new Resolver({ timeout: 1000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  try {
    const soa = await resolver.resolveSoa(zone);
    return {
      name: 'dns',
      state: 'ok',
      detail: `127.0.0.1:${port} answers for ${zone} (serial ${soa.serial})`,
    };
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
    return {
      name: 'dns',
      state: 'warning',
      detail: `127.0.0.1:${port} does not answer for ${zone} (${why})`,
      help: 'Calls by /function/<name> work without it. Name the right port with CESTX_DNS_PORT, the zone with CESTX_DOMAIN.',
    };
  }
}

/** Whether a container engine answers where the docker driver would look for it. */
export async function checkEngine(environment: Environment): Promise<Finding> {
  const host = environment['DOCKER_HOST'] || 'unix:///var/run/docker.sock';
  const answered = await ping(host).catch(() => false);
  if (answered) return { name: 'container engine', state: 'ok', detail: host };
  return {
    name: 'container engine',
    state: 'warning',
    detail: `none answers at ${host}`,
    help: 'Functions run as plain processes without it, which isolates nothing; start Docker for containers.',
  };
}

function ping(host: string): Promise<boolean> {
  const target = host.startsWith('unix://')
    ? { socketPath: host.slice('unix://'.length) }
    : {
        hostname: new URL(host.replace(/^tcp:/, 'http:')).hostname,
        port: new URL(host.replace(/^tcp:/, 'http:')).port,
      };
  return new Promise((settle) => {
    const call = request({ ...target, path: '/_ping', timeout: 2000 }, (answer) => {
      answer.resume();
      settle(answer.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => settle(false));
    call.end();
  });
}

export async function checkDisk(environment: Environment, folder: string): Promise<Finding> {
  const at = resolve(folder, environment['CESTX_DATA'] || '.');
  try {
    const about = await statfs(at);
    const free = about.bavail * about.bsize;
    const detail = `${(free / gibibyte).toFixed(1)} GiB free at ${at}`;
    if (free >= 2 * gibibyte) return { name: 'disk', state: 'ok', detail };
    const state = free < gibibyte / 4 ? 'failed' : 'warning';
    return {
      name: 'disk',
      state,
      detail,
      help: 'Builds and logs need room: free some, or name another place with CESTX_DATA.',
    };
  } catch {
    return { name: 'disk', state: 'warning', detail: `${at} cannot be looked at`, help: 'Check CESTX_DATA.' };
  }
}
