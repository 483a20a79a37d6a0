import type { MigrationInterface, QueryRunner } from 'typeorm';

export class AddBuildContent1764100000000 implements MigrationInterface {
  name = 'AddBuildContent1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    // Builds of before do not know what they followed from, so they are not used again.
    await runner.query('ALTER TABLE build ADD COLUMN content text');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE build DROP COLUMN content');
  }
}
