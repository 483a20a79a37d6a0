import { setTimeout as sleep } from 'node:timers/promises';

import type { DataSource } from 'typeorm';

/** Any constant will do, as long as every process of the house uses the same one. */
const lockKey = 7_212_001;

/**
 * Runs what migrations are missing. TypeORM takes no lock of its own, so several processes starting at once would collide;
 * the lock is polled because the blocking form deadlocks with `CREATE INDEX CONCURRENTLY`.
 */
export async function migrate(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner();
  try {
    for (;;) {
      const rows = (await runner.query('SELECT pg_try_advisory_lock($1) AS locked', [lockKey])) as {
        locked: boolean;
      }[];
      if (rows[0]?.locked) break;
      await sleep(100);
    }
    await dataSource.runMigrations();
  } finally {
    await runner.query('SELECT pg_advisory_unlock($1)', [lockKey]).catch(() => undefined);
    await runner.release();
  }
}
