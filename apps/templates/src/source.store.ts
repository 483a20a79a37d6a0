import { Injectable } from '@nestjs/common';

import { Database, type Transaction } from '#storage';

import { SourceRow, UploadRow } from './source.entity.ts';

/** Builds that failed before $1 need their source no more; a discarded one never does. A template is needed while it is used. */
const isNeeded = (digest: string) => `(EXISTS (
  SELECT 1 FROM build WHERE build.source_digest = ${digest}
  AND (build.state IN ('waiting', 'building', 'built') OR build.state = 'failed' AND build.changed_at >= $1))
  OR EXISTS (SELECT 1 FROM template WHERE template.source_digest = ${digest} AND template.state IN ('checking', 'ready')))`;

@Injectable()
export class SourceStore {
  constructor(private readonly database: Database) {}

  async findByUpload(uploadId: string): Promise<SourceRow | null> {
    const upload = await this.#manager.findOneBy(UploadRow, { id: uploadId });
    return upload && this.#manager.findOneBy(SourceRow, { digest: upload.digest });
  }

  /** From now on its object is not removed; whether there is one is to be seen after this. */
  async keep(source: Omit<SourceRow, 'acceptedAt'>): Promise<void> {
    await this.database.transaction(async (tx) => {
      await lockSource(tx, source.digest);
      await tx.manager.upsert(SourceRow, { ...source, acceptedAt: new Date() }, ['digest']);
    });
  }

  async addUpload(uploadId: string, digest: string): Promise<void> {
    await this.#manager.upsert(UploadRow, { id: uploadId, digest, acceptedAt: new Date() }, ['id']);
  }

  async forgetUploads(before: Date): Promise<void> {
    await this.database.dataSource.query('DELETE FROM upload WHERE accepted_at < $1', [before]);
  }

  /** Digests of what was last accepted before that moment and no build needs. */
  async findUnused(before: Date): Promise<string[]> {
    const rows: { digest: string }[] = await this.database.dataSource.query(
      `SELECT digest FROM source WHERE accepted_at < $1 AND NOT ${isNeeded('source.digest')}`,
      [before],
    );
    return rows.map(({ digest }) => digest);
  }

  /** Forgets the source, unless it was accepted again or a build came to need it meanwhile. */
  async forgetUnused(digest: string, before: Date): Promise<void> {
    await this.database.transaction(async (tx) => {
      await lockSource(tx, digest);
      const unused = await tx.query(
        `SELECT 1 FROM source WHERE digest = $2 AND accepted_at < $1 AND NOT ${isNeeded('source.digest')} FOR UPDATE`,
        [before, digest],
      );
      if (unused.length === 0) return;
      await tx.query('DELETE FROM upload WHERE digest = $1', [digest]);
      await tx.query('DELETE FROM source WHERE digest = $1', [digest]);
    });
  }

  /** Those of the digests that are neither known nor needed. */
  async findForgotten(digests: string[], before: Date): Promise<string[]> {
    const rows: { digest: string }[] = await this.database.dataSource.query(
      `SELECT digest FROM unnest($2::text[]) AS kept (digest)
       WHERE digest NOT IN (SELECT digest FROM source) AND NOT ${isNeeded('kept.digest')}`,
      [before, digests],
    );
    return rows.map(({ digest }) => digest);
  }

  /** Runs `remove` when the source is still forgotten, while nobody can accept or need it. */
  async whileForgotten(digest: string, before: Date, remove: () => Promise<void>): Promise<void> {
    await this.database.transaction(async (tx) => {
      await lockSource(tx, digest);
      const wanted = await tx.query(
        `SELECT 1 WHERE EXISTS (SELECT 1 FROM source WHERE digest = $2) OR ${isNeeded('$2')}`,
        [before, digest],
      );
      if (wanted.length === 0) await remove();
    });
  }

  get #manager() {
    return this.database.dataSource.manager;
  }
}

/**
 * Until the transaction ends nobody else accepts, needs or collects the source. Not a lock on its row, for that may be
 * gone while its object is still there. What is read behind this sees what the one before has written.
 */
export async function lockSource(tx: Transaction, digest: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('source ' || $1::text, 0))`, [digest]);
}
