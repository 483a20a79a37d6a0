import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateTriggerTables1764600000000 implements MigrationInterface {
  name = 'CreateTriggerTables1764600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE event_function (
        project text NOT NULL,
        "function" text NOT NULL,
        delivery jsonb NOT NULL,
        PRIMARY KEY (project, "function")
      )`);
    await runner.query(`
      CREATE TABLE trigger (
        project text NOT NULL,
        "function" text NOT NULL,
        id text NOT NULL,
        settings jsonb NOT NULL,
        paused boolean NOT NULL DEFAULT false,
        next_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (project, "function", id)
      )`);
    await runner.query(
      'CREATE INDEX trigger_due ON trigger (next_at) WHERE next_at IS NOT NULL AND NOT paused',
    );
    // How often a message failed. Only what failed has a row: the broker counts deliveries, which are more than tries.
    await runner.query(`
      CREATE TABLE failed_try (
        durable text NOT NULL,
        sequence bigint NOT NULL,
        tries int NOT NULL,
        failed_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (durable, sequence)
      )`);
    await runner.query(`
      CREATE TABLE dead_letter (
        id text PRIMARY KEY,
        project text NOT NULL,
        "function" text NOT NULL,
        trigger text,
        event_id text NOT NULL,
        event_type text NOT NULL,
        reason text NOT NULL,
        message text NOT NULL,
        attempts int NOT NULL,
        last_status int,
        last_body text,
        stream text NOT NULL,
        sequence bigint NOT NULL,
        subject text NOT NULL,
        headers jsonb NOT NULL,
        data bytea NOT NULL,
        trace_id text,
        received_at timestamptz NOT NULL,
        died_at timestamptz NOT NULL
      )`);
    await runner.query('CREATE INDEX dead_letter_order ON dead_letter (project, died_at DESC, id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE dead_letter, failed_try, trigger, event_function');
  }
}
