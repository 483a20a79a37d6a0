import type { MigrationInterface, QueryRunner } from 'typeorm';

import { defaultScale } from '#contracts';

export class AddScale1764000000000 implements MigrationInterface {
  name = 'AddScale1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE route
        ADD COLUMN concurrency double precision NOT NULL DEFAULT 0,
        ADD COLUMN scale jsonb NOT NULL DEFAULT '${JSON.stringify(defaultScale)}'`);
    await runner.query(
      'ALTER TABLE route ALTER COLUMN concurrency DROP DEFAULT, ALTER COLUMN scale DROP DEFAULT',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE route DROP COLUMN concurrency, DROP COLUMN scale');
  }
}
