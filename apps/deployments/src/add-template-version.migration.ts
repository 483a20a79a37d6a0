import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddTemplateVersion1764200100000 implements MigrationInterface {
  name = 'AddTemplateVersion1764200100000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE revision ADD COLUMN template_version integer');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE revision DROP COLUMN template_version');
  }
}
