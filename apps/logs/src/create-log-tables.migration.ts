import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateLogTables1763700000000 implements MigrationInterface {
  name = 'CreateLogTables1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE log_line (
        id bigserial PRIMARY KEY,
        project text NOT NULL,
        "function" text NOT NULL,
        revision text,
        machine text NOT NULL,
        position integer NOT NULL,
        stream text NOT NULL,
        "timestamp" timestamptz NOT NULL,
        text text NOT NULL,
        call_id text,
        trace_id text,
        UNIQUE (machine, position)
      )`);
    await runner.query('CREATE INDEX log_line_function ON log_line (project, "function", id)');
    await runner.query(`
      CREATE TABLE subscription (
        project text NOT NULL,
        "function" text NOT NULL,
        state text NOT NULL,
        created_by text,
        removed_at timestamptz,
        PRIMARY KEY (project, "function")
      )`);
    // The one row says how far the feed was read. Who adds or forgets lines locks it.
    await runner.query('CREATE TABLE feed_place (sequence bigint NOT NULL)');
    await runner.query('INSERT INTO feed_place VALUES (0)');
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['feed_place', 'subscription', 'log_line']) {
      await runner.query(`DROP TABLE ${table}`);
    }
  }
}
