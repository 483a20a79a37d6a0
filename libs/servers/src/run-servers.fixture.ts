import { join } from 'node:path';

import { startNats } from './nats-server.ts';
import { startPostgres } from './postgres.ts';

// A parent to be killed by a test: starts both servers, says their process ids, and waits.
const dir = process.argv[2];
if (!dir) throw new Error('usage: run-servers.fixture.ts <folder>');
const nats = await startNats({ dataDir: join(dir, 'nats') });
const postgres = await startPostgres({ dataDir: join(dir, 'postgres') });
process.stdout.write(`${nats.pid} ${postgres.pid}\n`);
setInterval(() => undefined, 60_000);
