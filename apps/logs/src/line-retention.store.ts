import { Injectable } from '@nestjs/common';

import { Database } from '#storage';

export interface Retention {
  /** Milliseconds. */
  subscribed: number;
  unsubscribed: number;
  linesPerFunction: number;
}

/** Rows deleted by one statement: short transactions, so that new lines never wait long. */
const batchSize = 10_000;
/** Longer than the feed can hold a line of a function that was removed. */
const removalKnownFor = 7 * 86_400_000;

/** Takes away lines that have been kept long enough. */
@Injectable()
export class LineRetentionStore {
  constructor(private readonly database: Database) {}

  /** How many lines went. */
  async prune(retention: Retention, now = Date.now()): Promise<number> {
    let removed = 0;
    for (const { project, function: name, subscribed } of await this.#functions()) {
      const oldest = new Date(now - (subscribed ? retention.subscribed : retention.unsubscribed));
      const firstKept = await this.#firstKept(project, name, retention.linesPerFunction);
      for (let count = batchSize; count === batchSize; removed += count) {
        count = await this.#deleteBatch(project, name, oldest, firstKept);
      }
    }
    await this.#run("DELETE FROM subscription WHERE state = 'removed' AND removed_at < $1", [
      new Date(now - removalKnownFor),
    ]);
    return removed;
  }

  async #functions(): Promise<{ project: string; function: string; subscribed: boolean }[]> {
    return this.#run(`
      SELECT l.project, l."function", s.project IS NOT NULL AS subscribed
      FROM (SELECT DISTINCT project, "function" FROM log_line) l
      LEFT JOIN subscription s ON s.project = l.project AND s."function" = l."function" AND s.state = 'subscribed'`);
  }

  async #firstKept(project: string, name: string, lines: number): Promise<string> {
    const rows: { id: string }[] = await this.#run(
      'SELECT id FROM log_line WHERE project = $1 AND "function" = $2 ORDER BY id DESC OFFSET $3 LIMIT 1',
      [project, name, lines - 1],
    );
    return rows[0]?.id ?? '0';
  }

  async #deleteBatch(project: string, name: string, oldest: Date, firstKept: string): Promise<number> {
    const [, count] = await this.#run<[unknown[], number]>(
      `DELETE FROM log_line WHERE id IN (
         SELECT id FROM log_line WHERE project = $1 AND "function" = $2 AND (id < $3 OR "timestamp" < $4) LIMIT ${batchSize})`,
      [project, name, firstKept, oldest],
    );
    return count;
  }

  async #run<T>(sql: string, parameters: unknown[] = []): Promise<T> {
    return (await this.database.dataSource.query(sql, parameters)) as T;
  }
}
