import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';

import { sentenceOf, startRoom, type Environment, type RoomDefinition, type RunningRoom } from '#boot';
import { CestxError, type Room } from '#contracts';
import { lockDataFolder, startNats, startPostgres, supervise, type ServerExit } from '#servers';

import { deploymentsRoom } from '../../deployments/src/deployments.module.ts';
import { gatewayRoom } from '../../gateway/src/gateway.module.ts';
import { logsRoom } from '../../logs/src/logs.module.ts';
import { machinesRoom } from '../../machines/src/machines.module.ts';
import { routesRoom } from '../../routes/src/routes.module.ts';
import { scalerRoom } from '../../scaler/src/scaler.module.ts';
import { triggersRoom } from '../../triggers/src/triggers.module.ts';
import { templatesRoom } from '../../templates/src/templates.module.ts';

import type { PlatformOptions } from './platform-options.ts';

export interface Platform {
  /** Where the gateway listens. */
  url: string;
  adminKey: string;
  domain: string;
  dnsPort: number;
  /** The log of the platform itself. */
  logFile: string;
  stop(): Promise<void>;
}

/** Started together; the gateway follows when there is somebody for it to ask. */
const rooms: RoomDefinition[] = [
  deploymentsRoom,
  templatesRoom,
  machinesRoom,
  routesRoom,
  logsRoom,
  scalerRoom,
  triggersRoom,
];

/** Starts nats-server, PostgreSQL and every room in this process. Throws one sentence when that cannot be; nothing stays behind then. */
export async function startPlatform(
  options: PlatformOptions,
  environment: Environment,
  onProgress: (line: string) => void = () => undefined,
): Promise<Platform> {
  const data = resolve(options.CESTX_DATA);
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step().catch(() => undefined);
  };
  try {
    const lock = await lockFolder(data);
    undo.push(() => lock.release());
    await checkPort(options.CESTX_PORT, 'the gateway', '--port');
    await checkPort(options.CESTX_DNS_PORT, 'DNS', '--dns-port');

    onProgress('starting nats-server and PostgreSQL');
    const logFile = join(data, 'platform.log');
    const servers = await Promise.allSettled([
      supervise({
        name: 'nats-server',
        start: (port) => startNats({ dataDir: join(data, 'nats'), port, onProgress }),
        ...tellRestarts('nats-server', onProgress),
      }),
      supervise({
        name: 'PostgreSQL',
        start: (port) => startPostgres({ dataDir: join(data, 'postgres'), port }),
        ...tellRestarts('PostgreSQL', onProgress),
      }),
    ] as const);
    for (const server of servers) if (server.status === 'fulfilled') undo.push(() => server.value.stop());
    const [nats, postgres] = servers;
    if (nats.status === 'rejected') throw nats.reason;
    if (postgres.status === 'rejected') throw postgres.reason;

    onProgress('starting the rooms');
    const keyFile = join(data, 'admin-key');
    const environmentOf = async (room: Room): Promise<Environment> => ({
      ...environment,
      NATS_URL: nats.value.url,
      DATABASE_URL: await postgres.value.server.createRoomDatabase(room),
      CESTX_DATA: data,
      CESTX_PORT: String(options.CESTX_PORT),
      CESTX_DRIVER: options.CESTX_DRIVER,
      CESTX_DOMAIN: options.CESTX_DOMAIN,
      CESTX_DNS_PORT: String(options.CESTX_DNS_PORT),
      CESTX_KEEP_MACHINES: String(options.CESTX_KEEP_MACHINES),
      CESTX_ADMIN_KEY_FILE: keyFile,
      CESTX_LOG_FILE: environment['CESTX_LOG_FILE'] ?? logFile,
      CESTX_HEALTH_PORT: '0',
    });
    const started = await Promise.allSettled(
      rooms.map(async (room) => startRoom(room, await environmentOf(room.name))),
    );
    undo.push(() => stopRooms(started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))));
    const failed = started.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    const gateway = await startRoom(gatewayRoom, await environmentOf('gateway'));
    undo.push(() => gateway.stop());

    return {
      url: `http://localhost:${options.CESTX_PORT}`,
      adminKey: (await readFile(keyFile, 'utf8')).trim(),
      domain: options.CESTX_DOMAIN,
      dnsPort: options.CESTX_DNS_PORT,
      logFile,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function tellRestarts(name: string, tell: (line: string) => void) {
  return {
    onExit: ({ code, signal }: ServerExit) => tell(`${name} ended (${signal ?? code}); starting it again`),
    onRestart: () => tell(`${name} runs again`),
    onRestartFailed: (error: unknown, pauseMs: number) =>
      tell(`${name} did not start (${sentenceOf(error)}); next try in ${pauseMs} ms`),
  };
}

async function stopRooms(running: RunningRoom[]): Promise<void> {
  await Promise.all(running.map((room) => room.stop()));
}

async function lockFolder(data: string): ReturnType<typeof lockDataFolder> {
  try {
    return await lockDataFolder(data);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!['EACCES', 'EROFS', 'ENOTDIR', 'ENOSPC', 'EPERM'].includes(code)) throw error;
    throw new CestxError(
      'bad-request',
      `The data folder ${data} cannot be written (${code}); choose another with --data.`,
    );
  }
}

/** Says at once that a port is taken, before anything is started for nothing. */
async function checkPort(port: number, who: string, option: string): Promise<void> {
  if (port === 0) return;
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new CestxError(
          'conflict',
          `Port ${port} for ${who} is ${error.code === 'EACCES' ? 'not allowed' : 'taken'}; choose another with ${option}.`,
        ),
      ),
    );
    probe.listen(port, () => probe.close(() => resolve()));
  });
}
