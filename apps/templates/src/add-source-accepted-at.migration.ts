import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddSourceAcceptedAt1764000000000 implements MigrationInterface {
  name = 'AddSourceAcceptedAt1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE source ADD COLUMN accepted_at timestamptz NOT NULL DEFAULT now()');
    await runner.query('CREATE INDEX upload_digest ON upload (digest)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX upload_digest');
    await runner.query('ALTER TABLE source DROP COLUMN accepted_at');
  }
}
