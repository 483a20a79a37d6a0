import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';

import { findNatsServer } from '#find-nats-server';

import { asRunningServer, spawnChildServer, waitUntilReady } from './child-server.ts';
import { PortTakenError, withPort } from './free-port.ts';
import { runAsOurselves } from './run-as.ts';
import type { RunningServer } from './running-server.ts';
import { secretFile } from './secret-file.ts';

const host = '127.0.0.1';
const largestMessage = 8 * 1024 * 1024;

export interface NatsOptions {
  dataDir: string;
  /** 0 or none: a free one. */
  port?: number;
  /** The nats-server to run; found, or fetched, when left out. */
  binary?: string;
  onProgress?: (line: string) => void;
}

/**
 * A nats-server with JetStream on files. `sync_interval: always` because an acknowledged message must survive a power
 * failure, not only a crash of the server. The token keeps other users of this host out; it is part of the URL.
 */
export async function startNats(options: NatsOptions): Promise<RunningServer> {
  const { path } = await findNatsServer({ named: options.binary, onProgress: options.onProgress });
  const dataDir = resolve(options.dataDir);
  await mkdir(join(dataDir, 'jetstream'), { recursive: true, mode: 0o700 });
  const token = await secretFile(join(dataDir, 'token'));
  return withPort(options.port ?? 0, (port) => start(path, dataDir, token, port));
}

async function start(binary: string, dataDir: string, token: string, port: number): Promise<RunningServer> {
  const serverName = `cestx-${randomBytes(6).toString('hex')}`;
  const config = join(dataDir, 'nats-server.conf');
  await writeFile(config, configuration({ serverName, dataDir, token, port }), { mode: 0o600 });
  const child = await spawnChildServer({
    name: 'nats-server',
    command: binary,
    args: ['--config', config],
    runAs: runAsOurselves,
    logFile: join(dataDir, 'nats-server.log'),
    deathSignal: 'KILL',
  });
  try {
    await waitUntilReady(child, 'nats-server', 30_000, async () =>
      (await greeting(port)).includes(serverName),
    );
  } catch (error) {
    if ((await child.lastLines()).includes('address already in use'))
      throw new PortTakenError(port, 'nats-server');
    throw error;
  }
  return asRunningServer(child, { url: `nats://${token}@${host}:${port}`, host, port }, [
    { signal: 'SIGTERM', waitMs: 15_000 },
  ]);
}

function configuration(values: { serverName: string; dataDir: string; token: string; port: number }): string {
  // JSON strings are valid in this format, and quote paths with spaces rightly.
  return `listen: "${host}:${values.port}"
server_name: ${values.serverName}
max_payload: ${largestMessage}
authorization { token: ${JSON.stringify(values.token)} }
jetstream { store_dir: ${JSON.stringify(join(values.dataDir, 'jetstream'))}, sync_interval: always }
`;
}

/**
 * The INFO line a nats-server greets with. It accepts clients only once JetStream has recovered, and the name in it tells
 * ours from a stranger's on the same port.
 */
function greeting(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let text = '';
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(1000, done);
    socket.on('data', (chunk) => {
      text += chunk.toString();
      if (text.includes('\r\n')) done();
    });
    socket.once('error', done).once('end', done);
  });
}
