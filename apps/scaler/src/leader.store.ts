import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';

import { Database } from '#storage';

/** Any number that no other lock of this room's database has. */
const lockKey = 7_212_002;

/**
 * Of several scaler rooms one decides: the one whose connection holds an advisory lock of PostgreSQL, which the server gives
 * back when that connection ends, however it ends. Who loses it may have sent one order more; orders say "so many", not
 * "one more", so that does no harm.
 */
@Injectable()
export class LeaderStore implements BeforeApplicationShutdown {
  readonly #database: Database;
  #runner: ReturnType<Database['dataSource']['createQueryRunner']> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** True while this process is the one; asked before each decision, so it costs nothing while there is none. */
  async isLeader(): Promise<boolean> {
    const runner = (this.#runner ??= this.#database.dataSource.createQueryRunner());
    try {
      // Who holds it takes it once more; that counts up and harms nothing.
      const rows = (await runner.query('SELECT pg_try_advisory_lock($1) AS leads', [lockKey])) as {
        leads: boolean;
      }[];
      return rows[0]?.leads === true;
    } catch (error) {
      await this.#letGo();
      throw error;
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#letGo();
  }

  /** A connection goes back to the pool, so its lock must not stay on it. */
  async #letGo(): Promise<void> {
    const runner = this.#runner;
    this.#runner = undefined;
    await runner?.query('SELECT pg_advisory_unlock_all()').catch(() => undefined);
    await runner?.release().catch(() => undefined);
  }
}
