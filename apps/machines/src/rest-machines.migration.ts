import type { MigrationInterface, QueryRunner } from 'typeorm';

export class RestMachines1764500000000 implements MigrationInterface {
  name = 'RestMachines1764500000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      'ALTER TABLE machine ADD COLUMN since timestamptz NOT NULL DEFAULT now(), ADD COLUMN reason text',
    );
    await runner.query(`
      CREATE TABLE fleet (
        project text NOT NULL,
        "function" text NOT NULL,
        revision text NOT NULL,
        artifact jsonb NOT NULL,
        settings jsonb NOT NULL,
        first_machine text NOT NULL,
        PRIMARY KEY (project, "function", revision)
      )`);
    await runner.query(`
      INSERT INTO fleet (project, "function", revision, artifact, settings, first_machine)
      SELECT DISTINCT ON (project, "function", revision) project, "function", revision, artifact, settings, id
      FROM machine ORDER BY project, "function", revision, created_at`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE fleet');
    await runner.query('ALTER TABLE machine DROP COLUMN since, DROP COLUMN reason');
  }
}
