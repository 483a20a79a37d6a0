import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Deployments1760000001000 implements MigrationInterface {
  name = 'Deployments1760000001000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE function (
        project text NOT NULL,
        name text NOT NULL,
        live_revision text,
        next_version int NOT NULL DEFAULT 1,
        active_run text,
        last_run text NOT NULL,
        host text,
        template text,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (project, name)
      )`);
    await runner.query(`
      CREATE TABLE revision (
        project text NOT NULL,
        revision text NOT NULL,
        function text NOT NULL,
        run_id text NOT NULL,
        source_digest text NOT NULL,
        template text NOT NULL,
        artifact jsonb NOT NULL,
        settings jsonb NOT NULL,
        state text NOT NULL CHECK (state IN ('live', 'retired')),
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (project, revision)
      )`);
    await runner.query('CREATE INDEX revision_function ON revision (project, function)');
    await runner.query(`
      CREATE TABLE saga_run (
        id text PRIMARY KEY,
        sequence bigserial NOT NULL,
        saga text NOT NULL,
        saga_version int NOT NULL,
        project text NOT NULL,
        function text NOT NULL,
        revision text,
        state text NOT NULL CHECK (state IN ('pending', 'running', 'live', 'removed', 'undoing', 'failed')),
        input jsonb NOT NULL,
        results jsonb NOT NULL,
        steps jsonb NOT NULL,
        position int NOT NULL,
        attempt int NOT NULL,
        waiting_for text,
        wake_at timestamptz,
        error jsonb,
        trace_headers jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        version int NOT NULL
      )`);
    await runner.query('CREATE INDEX saga_run_wake ON saga_run (wake_at) WHERE wake_at IS NOT NULL');
    await runner.query(
      `CREATE INDEX saga_run_pending ON saga_run (project, function, sequence) WHERE state = 'pending'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE saga_run');
    await runner.query('DROP TABLE revision');
    await runner.query('DROP TABLE function');
  }
}
