import { execFile } from 'node:child_process';
import { chown, mkdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { Client } from 'pg';

import { asRunningServer, spawnChildServer, waitUntilReady } from './child-server.ts';
import { PortTakenError, withPort } from './free-port.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { createRoomDatabase } from './room-database.ts';
import { ableToReach, type RunAs, throwIfSetprivIsMissing, unprivileged } from './run-as.ts';
import type { RunningServer } from './running-server.ts';
import { secretFile } from './secret-file.ts';
import { ServerError } from './server-error.ts';

const run = promisify(execFile);
const host = '127.0.0.1';
const admin = 'cestx';

/** How long backends of a killed server may take to notice and let go of the data. */
const leftoversMs = 15_000;

export interface PostgresOptions {
  dataDir: string;
  /** 0 or none: a free one. */
  port?: number;
}

export interface RunningPostgres extends RunningServer {
  /** Makes the room's own database and role when they are not there yet; answers its DATABASE_URL. */
  createRoomDatabase(room: string): Promise<string>;
}

/** Small on purpose: one host, a handful of rooms, and memory that functions want. Durability is as PostgreSQL ships it. */
const settings = {
  max_connections: '200',
  shared_buffers: '32MB',
  max_wal_size: '256MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  max_parallel_workers_per_gather: '0',
  io_method: 'sync',
  jit: 'off',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] %u@%d ',
  // Loopback TCP with passwords only: no socket file for others to find, no path length limit to hit.
  unix_socket_directories: '',
  listen_addresses: host,
};

/** PostgreSQL on its own data folder. Crash recovery is its own; what is ours is to never start beside its own ghost. */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const dataDir = resolve(options.dataDir);
  const binaries = await postgresBinaries();
  // Passable, not readable: the server's own user has to get through to `cluster`, which is its own.
  await mkdir(dataDir, { recursive: true, mode: 0o711 });
  const password = await secretFile(join(dataDir, 'admin-password'));
  const runAs = await ableToReach(await unprivileged(), [binaries.postgres, dataDir]);
  const cluster = join(dataDir, 'cluster');
  await initialise(binaries, runAs, cluster, password);
  return withPort(options.port ?? 0, async (port) => {
    await clearLeftovers(cluster);
    return start(binaries, runAs, dataDir, password, port);
  });
}

async function start(
  binaries: PostgresBinaries,
  runAs: RunAs,
  dataDir: string,
  password: string,
  port: number,
): Promise<RunningPostgres> {
  const url = `postgres://${admin}:${password}@${host}:${port}/postgres`;
  const options = Object.entries({ ...settings, port: String(port) }).flatMap(([key, value]) => [
    '-c',
    `${key}=${value}`,
  ]);
  const deadline = Date.now() + leftoversMs;
  for (;;) {
    const child = await spawnChildServer({
      name: 'PostgreSQL',
      command: binaries.postgres,
      args: ['-D', join(dataDir, 'cluster'), ...options],
      runAs,
      logFile: join(dataDir, 'postgres.log'),
      // Immediate shutdown: no checkpoint to wait for, and no backend left holding the data when we start again.
      deathSignal: 'QUIT',
      cwd: '/',
    });
    try {
      await waitUntilReady(child, 'PostgreSQL', 60_000, () => answers(url));
    } catch (error) {
      const words = await child.lastLines();
      if (words.includes('Address already in use')) throw new PortTakenError(port, 'PostgreSQL');
      // Backends of a server that was SIGKILLed notice within moments; until then the data is still theirs.
      if (!/pre-existing shared memory block/.test(words) || Date.now() > deadline) throw error;
      await delay(100);
      continue;
    }
    const server = asRunningServer(child, { url, host, port }, [
      { signal: 'SIGINT', waitMs: 15_000 },
      { signal: 'SIGQUIT', waitMs: 5_000 },
    ]);
    return { ...server, createRoomDatabase: (room) => createRoomDatabase(server, dataDir, room) };
  }
}

/** Made beside and renamed into place, so a start that was killed half way is repeated rather than half a cluster used. */
async function initialise(
  binaries: PostgresBinaries,
  runAs: RunAs,
  cluster: string,
  password: string,
): Promise<void> {
  const version = await readFile(join(cluster, 'PG_VERSION'), 'utf8').then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (version === binaries.major) return;
  if (version) {
    throw new ServerError(
      `the data in ${cluster} was written by PostgreSQL ${version}; this is ${binaries.major}`,
    );
  }
  const half = `${cluster}.new`;
  const passwordFile = `${half}.password`;
  await rm(half, { recursive: true, force: true });
  await mkdir(half, { mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  try {
    if (runAs.ids) {
      await chown(half, runAs.ids.uid, runAs.ids.gid);
      await chown(passwordFile, runAs.ids.uid, runAs.ids.gid);
    }
    await run(
      'setpriv',
      [
        ...runAs.setprivOptions,
        '--pdeathsig=KILL',
        '--',
        binaries.initdb,
        `--pgdata=${half}`,
        `--username=${admin}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
      ],
      { cwd: '/', env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' } },
    );
    await rename(half, cluster);
  } catch (error) {
    throwIfSetprivIsMissing(error);
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new ServerError(`the database could not be prepared in ${cluster}: ${words}`);
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/**
 * A killed server leaves postmaster.pid. PostgreSQL removes it itself unless the number is by now somebody else's process,
 * so whoever it names is asked: a server on this very folder is waited for, anybody else makes the file stale.
 */
async function clearLeftovers(cluster: string): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  const deadline = Date.now() + leftoversMs;
  for (;;) {
    const text = await readFile(pidFile, 'utf8').catch(() => '');
    const pid = Number(text.split('\n')[0]);
    if (!pid) return;
    const folder = await readlink(`/proc/${pid}/cwd`).catch(() => '');
    if (folder !== cluster) {
      await rm(pidFile, { force: true });
      return;
    }
    if (Date.now() > deadline) {
      throw new ServerError(`another PostgreSQL (process ${pid}) works on ${cluster}; stop it first`);
    }
    await delay(100);
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
