import { request } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

import type { Settings } from '#contracts';
import type { Listener, MachineDriver, MachineExit } from './machine.driver.ts';

export type Readiness =
  | { kind: 'ready'; address: string }
  | { kind: 'exited'; exit: MachineExit | null; address: string | null }
  | { kind: 'silent'; address: string | null; listeners: Listener[] | null }
  /** It listens, but the health path never answered with a 2xx; `status` is its last answer. */
  | { kind: 'unhealthy'; address: string; path: string; status: number | null };

const probeTimeout = 2000;
/** Pauses between two probes grow with the time it took so far, so that it is found ready at most that much too late. */
const pauseShare = 0.1;
const [shortestPause, longestPause] = [2, 100];
/** Milliseconds between two looks at a machine that cannot be dialled yet; a probe alone does not see that it has ended. */
const lookEvery = 25;

/** Probes a machine from outside until it can serve, has ended, or its time is up. Throws when `signal` aborts. */
export async function waitUntilReady(
  driver: MachineDriver,
  id: string,
  health: Settings['health'],
  signal: AbortSignal,
): Promise<Readiness> {
  const began = performance.now();
  let address: string | null = null;
  let lookedAt = -Infinity;
  let status: number | null = null;
  let connected = false;
  for (;;) {
    signal.throwIfAborted();
    const waited = performance.now() - began;
    if (!address || waited - lookedAt >= lookEvery) {
      lookedAt = waited;
      const seen = await driver.inspect(id);
      if (!seen || seen.state === 'exited') return { kind: 'exited', exit: seen?.exit ?? null, address };
      address = seen.address;
    }
    if (address && (await canConnect(address)) && (await isItsOwn(driver, id, address))) {
      connected = true;
      if (!health.path) return { kind: 'ready', address };
      status = await get(address, health.path);
      if (status !== null && status >= 200 && status < 300) return { kind: 'ready', address };
    }
    if (waited >= health.startup) break;
    await delay(Math.min(longestPause, Math.max(shortestPause, waited * pauseShare)), null, { signal });
  }
  if (connected && address && health.path) return { kind: 'unhealthy', address, path: health.path, status };
  return { kind: 'silent', address, listeners: await driver.listeners(id) };
}

/** On a shared port space somebody else may be the one who answered. */
async function isItsOwn(driver: MachineDriver, id: string, address: string): Promise<boolean> {
  const listeners = await driver.listeners(id);
  // Behind a published port the engine's own proxy takes the connection, and closes it when nobody is behind.
  if (listeners === null) return staysOpen(address);
  const port = driver.port ?? portOf(address);
  return listeners.some((listener) => listener.port === port);
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function open(address: string) {
  const socket = connect({ host: address.slice(0, address.lastIndexOf(':')), port: portOf(address) });
  socket.setTimeout(probeTimeout, () => socket.destroy());
  return socket;
}

function canConnect(address: string): Promise<boolean> {
  return new Promise((answer) => {
    const socket = open(address);
    socket.once('connect', () => answer(true));
    socket.once('connect', () => socket.destroy());
    socket.on('error', () => answer(false));
    socket.once('close', () => answer(false));
  });
}

function staysOpen(address: string): Promise<boolean> {
  return new Promise((answer) => {
    const socket = open(address);
    socket.resume();
    socket.on('error', () => answer(false));
    socket.once('close', () => answer(false));
    socket.once('connect', () =>
      setTimeout(() => {
        answer(true);
        socket.destroy();
      }, 50),
    );
  });
}

function get(address: string, path: string): Promise<number | null> {
  return new Promise((answer) => {
    const probe = request(
      `http://${address}${path}`,
      { agent: false, timeout: probeTimeout, headers: { 'user-agent': 'cestx-probe' } },
      (response) => {
        response.resume();
        answer(response.statusCode ?? null);
        response.destroy();
      },
    );
    probe.once('timeout', () => probe.destroy());
    probe.on('error', () => answer(null));
    probe.once('close', () => answer(null));
    probe.end();
  });
}
