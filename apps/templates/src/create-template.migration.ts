import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateTemplate1764200000000 implements MigrationInterface {
  name = 'CreateTemplate1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE template (
        id text PRIMARY KEY,
        project text NOT NULL,
        name text NOT NULL,
        version integer NOT NULL,
        source_digest text NOT NULL,
        definition jsonb NOT NULL,
        state text NOT NULL,
        error jsonb,
        changed_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (project, name, version)
      )`);
    await runner.query('CREATE INDEX template_source ON template (source_digest)');
    await runner.query('ALTER TABLE build ADD COLUMN template_version integer');
    await runner.query('CREATE INDEX build_template ON build (project, template)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX build_template');
    await runner.query('ALTER TABLE build DROP COLUMN template_version');
    await runner.query('DROP TABLE template');
  }
}
