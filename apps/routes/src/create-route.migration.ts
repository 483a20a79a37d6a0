import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateRoute1763700000000 implements MigrationInterface {
  name = 'CreateRoute1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE route (
        project text NOT NULL,
        "function" text NOT NULL,
        host text NOT NULL UNIQUE,
        traffic jsonb NOT NULL,
        timeout double precision NOT NULL,
        created_by text NOT NULL,
        PRIMARY KEY (project, "function")
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE route');
  }
}
