import type { MigrationInterface, QueryRunner } from 'typeorm';

export class CreateDecision1764000000000 implements MigrationInterface {
  name = 'CreateDecision1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE scale_decision (
        id bigserial PRIMARY KEY,
        project text NOT NULL,
        "function" text NOT NULL,
        revision text NOT NULL,
        from_machines integer NOT NULL,
        to_machines integer NOT NULL,
        metric text NOT NULL,
        value double precision NOT NULL,
        panic_value double precision NOT NULL,
        target double precision NOT NULL,
        panic boolean NOT NULL,
        reason text NOT NULL,
        decided_at timestamptz NOT NULL DEFAULT now(),
        outcome text
      )`);
    await runner.query('CREATE INDEX scale_decision_function ON scale_decision (project, "function", id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE scale_decision');
  }
}
