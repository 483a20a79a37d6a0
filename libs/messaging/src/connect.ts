import { connect, type NatsConnection } from '@nats-io/transport-node';

import { CestxError } from '#contracts';

/** The oldest server that keeps what it acknowledged (2.10.20–22 lost streams, 2.9 does not know `sync_interval`). */
const oldest = [2, 10, 23] as const;

/** Connects and stays connected: it tries again for ever, at first and after every break. */
export async function connectNats(url: string, name: string): Promise<NatsConnection> {
  const { servers, user, pass, token } = credentials(url);
  const connection = await connect({
    servers,
    name,
    ...(user ? { user, pass } : {}),
    ...(token ? { token } : {}),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
    reconnectJitter: 50,
    waitOnFirstConnect: true,
    pingInterval: 10_000,
    maxPingOut: 2,
  });
  const version = connection.info?.version ?? '0';
  if (isOlder(version)) {
    await connection.close();
    throw new CestxError(
      'unavailable',
      `nats-server ${version} is too old; CestX needs ${oldest.join('.')} or newer.`,
    );
  }
  return connection;
}

function isOlder(version: string): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [index, least] of oldest.entries()) {
    const part = parts[index] ?? 0;
    if (part !== least) return part < least;
  }
  return false;
}

/** Takes user and password, or a token, out of `nats://…@host:port`, where people are used to write them. */
function credentials(url: string): { servers: string[]; user?: string; pass?: string; token?: string } {
  let found: { user?: string; pass?: string; token?: string } = {};
  const servers = url.split(',').map((one) => {
    const parsed = new URL(one.trim());
    if (parsed.username && parsed.password) {
      found = { user: decodeURIComponent(parsed.username), pass: decodeURIComponent(parsed.password) };
    } else if (parsed.username) {
      found = { token: decodeURIComponent(parsed.username) };
    }
    return parsed.host;
  });
  return { servers, ...found };
}
