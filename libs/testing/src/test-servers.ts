import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type RunningPostgres, type RunningServer, startNats, startPostgres } from '#servers';

export interface TestServers {
  readonly natsUrl: string;
  /** The DATABASE_URL of a room, its database made when asked for the first time. */
  databaseUrl(room: string): Promise<string>;
  /** The children themselves, for tests that kill one and start it again on the same data and port. */
  readonly nats: RunningServer;
  readonly postgres: RunningPostgres;
  restartNats(): Promise<void>;
  restartPostgres(): Promise<void>;
  readonly dataDir: string;
  stop(): Promise<void>;
}

/** A real nats-server and a real PostgreSQL, settings and all, on fresh data that `stop` removes. */
export async function startTestServers(): Promise<TestServers> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cestx-test-'));
  const started = await Promise.allSettled([
    startNats({ dataDir: join(dataDir, 'nats') }),
    startPostgres({ dataDir: join(dataDir, 'postgres') }),
  ]);
  const [natsStart, postgresStart] = started;
  if (natsStart.status === 'rejected' || postgresStart.status === 'rejected') {
    for (const start of started) if (start.status === 'fulfilled') await start.value.stop();
    await rm(dataDir, { recursive: true, force: true });
    throw natsStart.status === 'rejected'
      ? natsStart.reason
      : started[1].status === 'rejected' && started[1].reason;
  }
  let nats = natsStart.value;
  let postgres = postgresStart.value;
  return {
    natsUrl: nats.url,
    databaseUrl: (room) => postgres.createRoomDatabase(room),
    get nats() {
      return nats;
    },
    get postgres() {
      return postgres;
    },
    async restartNats() {
      nats.kill('SIGKILL');
      await nats.exited;
      nats = await startNats({ dataDir: join(dataDir, 'nats'), port: nats.port });
    },
    async restartPostgres() {
      postgres.kill('SIGKILL');
      await postgres.exited;
      postgres = await startPostgres({ dataDir: join(dataDir, 'postgres'), port: postgres.port });
    },
    dataDir,
    async stop() {
      await Promise.all([nats.stop(), postgres.stop()]);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
