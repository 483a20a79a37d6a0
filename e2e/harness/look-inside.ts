import { execFile } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Client as PostgresClient } from 'pg';

import { rooms } from '#contracts';
import { ProblemError } from '#client';

import type { House } from './house.ts';

const run = promisify(execFile);

/**
 * What the platform still has of a function, each as a sentence; empty when nothing is left. It looks past the platform's
 * own answers: at processes, containers, the broker's consumers and the rows of each room.
 */
export async function leftoversOf(
  house: House,
  name: string,
  /** The lines of a build or start that failed are kept for a while, and should be. */
  options: { keepsLines?: boolean } = {},
): Promise<string[]> {
  const found = await Promise.all([
    processesOf(name).then((pids) => pids.map((pid) => `process ${pid}`)),
    containersOf(house, name).then((ids) => ids.map((id) => `container ${id}`)),
    house.client
      .listRoutes()
      .then((list) =>
        list.items.filter((route) => route.function === name).map((route) => `route ${route.host}`),
      ),
    house.client
      .listMachines({ function: name })
      .then((list) =>
        list.items
          .filter((machine) => machine.state !== 'removed')
          .map(({ id, state }) => `machine ${id} (${state})`),
      ),
    addressesOf(house, name).then((addresses) => addresses.map((address) => `DNS record ${address}`)),
    functionStateOf(house, name).then((state) => (state === null ? [] : [`function (${state})`])),
    consumersOf(house, name),
    rowsOf(house, name).then((rows) =>
      rows.filter((row) => !options.keepsLines || !row.startsWith('row of logs.log_line')),
    ),
  ]);
  return found.flat();
}

/** Processes that run this function now, in a container or not: the platform tells each its name. */
export async function processesOf(name: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const matching = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return environment.split('\0').includes(`CESTX_FUNCTION=${name}`);
    }),
  );
  return pids.filter((_, index) => matching[index]);
}

/** Processes whose command line says `text`, in a container or not; zombies have none. */
export async function processesSaying(text: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return pids.filter((_, index) => commands[index]?.includes(text));
}

/** Machines, not processes: a program may have children. */
export async function runningMachinesOf(name: string): Promise<string[]> {
  const ids = await Promise.all(
    (await processesOf(name)).map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
      return /(?:^|\0)CESTX_MACHINE=([^\0]+)/.exec(environment)?.[1];
    }),
  );
  return [...new Set(ids.filter((id) => id !== undefined))];
}

async function containersOf(house: House, name: string): Promise<string[]> {
  if (house.kind.driver !== 'docker') return [];
  const { stdout } = await run('docker', ['ps', '-a', '-q', '--filter', `label=cestx.function=${name}`]);
  return stdout.split('\n').filter(Boolean);
}

/** What the platform's own DNS server answers; empty for NXDOMAIN and for an empty answer. */
export async function addressesOf(house: House, name: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  resolver.setServers([`127.0.0.1:${house.dnsPort}`]);
  try {
    return await resolver.resolve4(`${name}.localhost`);
  } catch (error) {
    if (error instanceof Error && 'code' in error && ['ENOTFOUND', 'ENODATA'].includes(String(error.code)))
      return [];
    throw error;
  }
}

async function functionStateOf(house: House, name: string): Promise<string | null> {
  try {
    return (await house.client.getFunction(name)).state;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'not-found') return null;
    throw error;
  }
}

async function consumersOf(house: House, name: string): Promise<string[]> {
  const configuration = await readFile(join(house.serverData, 'nats', 'nats-server.conf'), 'utf8');
  const address = /^listen: "(.+)"$/m.exec(configuration)?.[1];
  const token = (await readFile(join(house.serverData, 'nats', 'token'), 'utf8')).trim();
  const connection = await connect({ servers: address, token });
  try {
    const manager = await jetstreamManager(connection);
    const found: string[] = [];
    for await (const consumer of manager.consumers.list('FEEDS')) {
      // One without a durable name is a passing reader's, which the broker forgets when nobody reads; a subscription is durable.
      if (!consumer.config.durable_name) continue;
      const filters = [consumer.config.filter_subject, ...(consumer.config.filter_subjects ?? [])];
      if (filters.some((filter) => filter?.split('.').includes(name)))
        found.push(`consumer ${consumer.name}`);
    }
    return found;
  } finally {
    await connection.close();
  }
}

/**
 * Rows that name the function and are not history. History is: runs of sagas and their steps, what was sent and received,
 * and tombstones, which keep a late command from bringing something back.
 */
const history = /^(deployments\.(deployment|saga|step|run)\w*|\w+\.(inbox|outbox|migrations))$/;
const tombstoneStates = ['removed', 'discarded', 'withdrawn', 'unsubscribed', 'undone', 'restored'];

async function rowsOf(house: House, name: string): Promise<string[]> {
  const pid = (await readFile(join(house.serverData, 'postgres', 'cluster', 'postmaster.pid'), 'utf8')).split(
    '\n',
  );
  const found = await Promise.all(
    rooms.map(async (room) => {
      const secret = join(house.serverData, 'postgres', 'room-passwords', room);
      const password = await readFile(secret, 'utf8').catch(() => null);
      if (password === null) return [];
      const client = new PostgresClient({
        host: '127.0.0.1',
        port: Number(pid[3]),
        user: room,
        database: room,
        password: password.trim(),
      });
      await client.connect();
      try {
        return await rowsIn(client, room, name);
      } finally {
        await client.end();
      }
    }),
  );
  return found.flat();
}

async function rowsIn(client: PostgresClient, room: string, name: string): Promise<string[]> {
  const columns = await client.query<{ table_name: string; column_name: string }>(
    `SELECT table_name, column_name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name IN ('function', 'function_name', 'name')`,
  );
  const found: string[] = [];
  for (const { table_name: table, column_name: column } of columns.rows) {
    if (history.test(`${room}.${table}`)) continue;
    const rows = await client.query<{ row: Record<string, unknown> }>(
      `SELECT to_jsonb(t) AS row FROM ${client.escapeIdentifier(table)} t WHERE ${client.escapeIdentifier(column)} = $1`,
      [name],
    );
    for (const { row } of rows.rows) {
      const states = [row['state'], row['desired'], row['status']].map(String);
      if (states.some((state) => tombstoneStates.includes(state))) continue;
      found.push(`row of ${room}.${table}: ${JSON.stringify(row).slice(0, 200)}`);
    }
  }
  return found;
}
