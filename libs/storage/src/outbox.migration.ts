import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Outbox1760000000000 implements MigrationInterface {
  name = 'Outbox1760000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE outbox (
        id bigserial PRIMARY KEY,
        message_id text NOT NULL,
        subject text NOT NULL,
        headers jsonb NOT NULL,
        payload text NOT NULL
      )`);
    await runner.query(`
      CREATE TABLE inbox (
        handler text NOT NULL,
        message_id text NOT NULL,
        settled_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (handler, message_id)
      )`);
    await runner.query('CREATE INDEX inbox_settled_at ON inbox (settled_at)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE inbox');
    await runner.query('DROP TABLE outbox');
  }
}
