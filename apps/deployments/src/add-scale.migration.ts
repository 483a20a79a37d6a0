import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddScale1764000000000 implements MigrationInterface {
  name = 'AddScale1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE function ADD COLUMN scale jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE function DROP COLUMN scale');
  }
}
