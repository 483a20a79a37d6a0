import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddEvents1764600000000 implements MigrationInterface {
  name = 'AddEvents1764600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE function ADD COLUMN events jsonb');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE function DROP COLUMN events');
  }
}
