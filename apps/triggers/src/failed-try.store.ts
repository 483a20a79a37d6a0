import { Injectable } from '@nestjs/common';

import { Database } from '#storage';

/** How often each message failed so far; rows go when the message is dealt with. */
@Injectable()
export class FailedTryStore {
  constructor(private readonly database: Database) {}

  async count(durable: string, sequence: number): Promise<number> {
    const rows: { tries: number }[] = await this.database.dataSource.query(
      'SELECT tries FROM failed_try WHERE durable = $1 AND sequence = $2',
      [durable, sequence],
    );
    return rows[0]?.tries ?? 0;
  }

  /** Notes that this try failed; noting the same one twice counts once. */
  async note(durable: string, sequences: readonly number[], attempt: number): Promise<void> {
    await this.database.dataSource.query(
      `INSERT INTO failed_try (durable, sequence, tries) SELECT $1, unnest($2::bigint[]), $3
       ON CONFLICT (durable, sequence) DO UPDATE SET tries = GREATEST(failed_try.tries, $3), failed_at = now()`,
      [durable, sequences, attempt],
    );
  }

  async forget(durable: string, sequences: readonly number[]): Promise<void> {
    await this.database.dataSource.query(
      'DELETE FROM failed_try WHERE durable = $1 AND sequence = ANY($2::bigint[])',
      [durable, sequences],
    );
  }

  /** Removes what can never be asked for again: streams keep nothing this long. */
  async prune(): Promise<void> {
    await this.database.dataSource.query(
      "DELETE FROM failed_try WHERE failed_at < now() - interval '30 days'",
    );
  }
}
