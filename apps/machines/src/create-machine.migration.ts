import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateMachine1763700100000 implements MigrationInterface {
  name = 'CreateMachine1763700100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE machine (
        id text PRIMARY KEY,
        project text NOT NULL,
        "function" text NOT NULL,
        revision text NOT NULL,
        artifact jsonb NOT NULL,
        settings jsonb NOT NULL,
        driver text NOT NULL,
        state text NOT NULL,
        address text,
        restarts int NOT NULL DEFAULT 0,
        retry_at timestamptz,
        running_since timestamptz,
        created_at timestamptz NOT NULL DEFAULT now()
      )`);
    await runner.query('CREATE INDEX machine_function ON machine (project, "function")');
    await runner.query(`
      CREATE TABLE removed_machine (
        id text PRIMARY KEY,
        failure jsonb,
        removed_at timestamptz NOT NULL DEFAULT now()
      )`);
    // Marks what this house put on an engine that other houses may use too.
    await runner.query('CREATE TABLE house (id text NOT NULL)');
    await runner.query(`INSERT INTO house VALUES (substr(replace(gen_random_uuid()::text, '-', ''), 1, 12))`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE machine, removed_machine, house');
  }
}
