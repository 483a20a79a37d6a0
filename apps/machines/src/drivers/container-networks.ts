import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

import type Docker from 'dockerode';
import type { NetworkInspectInfo } from 'dockerode';

import { CestxError } from '#contracts';
import { answer, settle } from './engine.ts';

/** The bridge of machines that may call the world, and of those that may only be called. No machine reaches another. */
const openNetwork = 'cestx';
export const closedNetwork = 'cestx-closed';
/** The bridge every engine has. */
const defaultNetwork = 'bridge';
const talk = 'com.docker.network.bridge.enable_icc';

/** Where machines that may call the world are put. */
export interface OpenNetwork {
  readonly name: string;
  /** Its machines cannot be dialled from here and must publish a port: an engine in a virtual machine or on another host. */
  readonly publish: boolean;
}

const run = promisify(execFile);

/**
 * Takes the engine's own bridge where it keeps containers apart (`"icc": false`), else one of ours, made if it is missing: in
 * every other network the engine runs a name server for each container, which makes a start a good third slower.
 */
export async function ensureOpenNetwork(docker: Docker): Promise<OpenNetwork> {
  const shared = (await settle(
    docker.getNetwork(defaultNetwork).inspect(),
    404,
  )) as NetworkInspectInfo | null;
  const own = shared?.Options?.[talk] === 'false' ? null : await ensureNetwork(docker, openNetwork, false);
  const gateway = (own ?? shared)?.IPAM?.Config?.[0]?.Gateway;
  return {
    name: own ? openNetwork : defaultNetwork,
    // The bridge is ours to dial when its gateway is one of our own addresses.
    publish: gateway === undefined || !(await isOwnAddress(gateway)),
  };
}

/**
 * Makes the network of machines that can be called and call nobody. An internal network has no way out, but this host itself
 * stands in it, so that it can dial them; what they would begin themselves is dropped.
 * Throws `start-failed` where that cannot be had: what is closed only halfway is not closed.
 */
export async function ensureClosedNetwork(docker: Docker): Promise<void> {
  const { Id } = await ensureNetwork(docker, closedNetwork, true);
  const rule = ['INPUT', '-i', `br-${Id.slice(0, 12)}`, '-m', 'conntrack', '--ctstate', 'NEW', '-j', 'DROP'];
  try {
    await run('iptables', ['--wait', '5', '--check', ...rule]).catch(() =>
      run('iptables', ['--wait', '5', '--insert', ...rule]),
    );
  } catch (error) {
    throw new CestxError(
      'start-failed',
      'network: false cannot be kept here: it takes iptables and the right to use it (root). Leave it out, or run the machines room with both.',
      { cause: error },
    );
  }
}

async function ensureNetwork(docker: Docker, name: string, closed: boolean): Promise<NetworkInspectInfo> {
  const network = docker.getNetwork(name);
  if (!(await settle(network.inspect(), 404)))
    await settle(
      docker.createNetwork({
        Name: name,
        // Without it the engine makes two of one name, and then knows neither by it.
        CheckDuplicate: true,
        Driver: 'bridge',
        Internal: closed,
        Options: { [talk]: 'false' },
        Labels: { 'cestx.network': 'functions' },
      }),
      409,
    );
  const info = (await answer(network.inspect())) as NetworkInspectInfo;
  if (info.Options?.[talk] !== 'false' || info.Internal !== closed)
    throw new CestxError(
      'no-driver',
      `The container network "${name}" lets functions reach what they must not; remove it (docker network rm ${name}) and start again.`,
    );
  return info;
}

/** Asked by binding to it: a bridge without containers has no carrier, and lists of interfaces leave it out. */
function isOwnAddress(host: string): Promise<boolean> {
  return new Promise((tell) => {
    const server = createServer();
    server.once('error', () => tell(false));
    server.listen({ host, port: 0 }, () => server.close(() => tell(true)));
  });
}
