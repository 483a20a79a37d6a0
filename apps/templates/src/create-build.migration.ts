import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateBuild1763700000000 implements MigrationInterface {
  name = 'CreateBuild1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE build (
        id text PRIMARY KEY,
        project text NOT NULL,
        "function" text NOT NULL,
        source_digest text NOT NULL,
        template text,
        driver text,
        state text NOT NULL,
        artifact jsonb,
        attempts integer NOT NULL DEFAULT 0,
        log text NOT NULL DEFAULT '',
        changed_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query('CREATE INDEX build_content ON build (source_digest, project, driver)');
    await runner.query('CREATE INDEX build_artifact ON build (artifact)');
    await runner.query(`
      CREATE TABLE source (
        digest text PRIMARY KEY,
        files integer NOT NULL,
        bytes integer NOT NULL,
        manifest text
      )`);
    await runner.query(`
      CREATE TABLE upload (
        id text PRIMARY KEY,
        digest text NOT NULL REFERENCES source,
        accepted_at timestamptz NOT NULL DEFAULT now()
      )`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE upload');
    await runner.query('DROP TABLE source');
    await runner.query('DROP TABLE build');
  }
}
