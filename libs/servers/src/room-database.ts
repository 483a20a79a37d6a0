import { join } from 'node:path';

import { Client } from 'pg';

import type { RunningServer } from './running-server.ts';
import { secretFile } from './secret-file.ts';
import { ServerError } from './server-error.ts';

/** Held while a database is made: PostgreSQL fails, rather than waits, when two change the same role. */
const makingLock = 3_407_001;

/** Names that are the server's own. */
const reserved = new Set(['cestx', 'postgres', 'template0', 'template1', 'public', 'none']);

/**
 * A database and a role of the room's own, both named after it. May be called as often as one likes, also by several at
 * once. A room cannot even connect to another room's database: CONNECT is taken from everybody but the owner.
 */
export async function createRoomDatabase(
  server: RunningServer,
  dataDir: string,
  room: string,
): Promise<string> {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(room) || reserved.has(room))
    throw new ServerError(`"${room}" cannot name a database`);
  const password = await secretFile(join(dataDir, 'room-passwords', room));
  const client = new Client({ connectionString: server.url });
  await client.connect();
  try {
    const name = client.escapeIdentifier(room);
    // Ends with the session, so a starter that dies half way blocks nobody.
    await client.query('SELECT pg_advisory_lock($1)', [makingLock]);
    const role = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [room]);
    if (role.rowCount === 0) await client.query(`CREATE ROLE ${name} LOGIN`);
    // Set every time: a start that was killed in between left the role without it.
    await client.query(`ALTER ROLE ${name} PASSWORD ${client.escapeLiteral(password)}`);
    const database = await client.query('SELECT FROM pg_database WHERE datname = $1', [room]);
    if (database.rowCount === 0) await client.query(`CREATE DATABASE ${name} OWNER ${name}`);
    await client.query(`REVOKE CONNECT, TEMPORARY ON DATABASE ${name}, postgres FROM PUBLIC`);
  } finally {
    await client.end();
  }
  return `postgres://${room}:${password}@${server.host}:${server.port}/${room}`;
}
