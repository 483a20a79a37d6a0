import { Injectable } from '@nestjs/common';
import { Not } from 'typeorm';

import { CestxError, type Artifact, type BuildSource, type DriverName, type PayloadOf } from '#contracts';
import { Database, type Transaction } from '#storage';

import { BuildRow } from './build.entity.ts';
import { lockSource } from './source.store.ts';

/** What is known of a build before its turn comes: builds that may share an artefact have it in common. */
export interface BuildContent {
  project: string;
  sourceDigest: string;
  driver: DriverName;
}

@Injectable()
export class BuildStore {
  constructor(private readonly database: Database) {}

  async find(id: string): Promise<BuildRow | null> {
    return this.#rows.findOneBy({ id });
  }

  /** Notes that a build waits for its turn, so that its source stays; what is known of it already stays as it is. */
  async expect(command: PayloadOf<typeof BuildSource>): Promise<void> {
    await this.database.transaction(async (tx) => {
      await lockSource(tx, command.sourceDigest);
      await tx.query(
        `INSERT INTO build (id, project, "function", source_digest, state)
         VALUES ($1, $2, $3, $4, 'waiting') ON CONFLICT (id) DO NOTHING`,
        [command.buildId, command.project, command.function, command.sourceDigest],
      );
    });
  }

  /** Notes that a build starts (again), before it has any effect; what was built or discarded stays as it is. */
  async begin(command: PayloadOf<typeof BuildSource>, driver: DriverName): Promise<BuildRow> {
    await this.database.dataSource.query(
      `INSERT INTO build (id, project, "function", source_digest, driver, state, attempts)
       VALUES ($1, $2, $3, $4, $5, 'building', 1)
       ON CONFLICT (id) DO UPDATE SET state = 'building', driver = $5, attempts = build.attempts + 1, changed_at = now()
       WHERE build.state IN ('waiting', 'building', 'failed')`,
      [command.buildId, command.project, command.function, command.sourceDigest, driver],
    );
    return this.#rows.findOneByOrFail({ id: command.buildId });
  }

  /** An artefact that the same content was built into before, newest first. */
  async findBuilt(of: BuildContent & { content: string }): Promise<Artifact[]> {
    const rows = await this.#rows.find({
      where: { ...of, state: 'built' },
      order: { changedAt: 'DESC' },
      take: 5,
    });
    return rows.flatMap((row) => row.artifact ?? []);
  }

  /** Records what was built, as long as the build is still wanted; false when it was discarded meanwhile. */
  async finish(
    id: string,
    built: { template: string; artifact: Artifact; content: string | null; log: string },
  ): Promise<boolean> {
    const result = await this.#rows.update(
      { id, state: Not('discarded') },
      { ...built, state: 'built', changedAt: new Date() },
    );
    return result.affected === 1;
  }

  async fail(id: string, log: string): Promise<void> {
    await this.#rows.update({ id, state: 'building' }, { state: 'failed', log, changedAt: new Date() });
  }

  /** The done event leaves only for a build that is still wanted when it commits. */
  async confirm(tx: Transaction, id: string): Promise<void> {
    const row = await tx.manager.findOne(BuildRow, { where: { id }, lock: { mode: 'pessimistic_write' } });
    if (row?.state !== 'built') throw discarded();
  }

  /** From now on this is never built. Returns what is known of it. */
  async discard(id: string): Promise<BuildRow> {
    await this.database.dataSource.query(
      `INSERT INTO build (id, project, "function", source_digest, state) VALUES ($1, '', '', '', 'discarded')
       ON CONFLICT (id) DO UPDATE SET state = 'discarded', log = '', changed_at = now()`,
      [id],
    );
    return this.#rows.findOneByOrFail({ id });
  }

  async forgetArtifact(id: string): Promise<void> {
    await this.#rows.update({ id }, { artifact: null });
  }

  /** Whether a build that was not discarded uses the artefact. */
  async isUsed(artifact: Artifact): Promise<boolean> {
    const rows: unknown[] = await this.database.dataSource.query(
      `SELECT 1 FROM build WHERE artifact = $1::jsonb AND state <> 'discarded' LIMIT 1`,
      [JSON.stringify(artifact)],
    );
    return rows.length > 0;
  }

  /** Images that were pulled and that no build uses any more, the oldest first. */
  async unusedImages(): Promise<Artifact[]> {
    const rows: { artifact: Artifact }[] = await this.database.dataSource.query(
      `SELECT artifact FROM build WHERE artifact IS NOT NULL AND template = 'image'
       GROUP BY artifact HAVING bool_and(state = 'discarded') ORDER BY max(changed_at)`,
    );
    return rows.map(({ artifact }) => artifact);
  }

  async forgetUnused(artifact: Artifact): Promise<void> {
    await this.database.dataSource.query(
      `UPDATE build SET artifact = NULL WHERE artifact = $1::jsonb AND state = 'discarded'`,
      [JSON.stringify(artifact)],
    );
  }

  async projects(): Promise<string[]> {
    const rows: { project: string }[] = await this.database.dataSource.query(
      `SELECT DISTINCT project FROM build WHERE project <> ''`,
    );
    return rows.map(({ project }) => project);
  }

  async hasBuilds(project: string): Promise<boolean> {
    return this.#rows.existsBy({ project, state: Not('discarded') });
  }

  /** Failures are kept for their logs; tombstones until no command can still be on its way. */
  async forgetOld(before: Date): Promise<void> {
    await this.database.dataSource.query(
      `DELETE FROM build WHERE state IN ('discarded', 'failed') AND artifact IS NULL AND changed_at < $1`,
      [before],
    );
  }

  get #rows() {
    return this.database.dataSource.getRepository(BuildRow);
  }
}

export function discarded(): CestxError {
  return new CestxError('undone', 'The build was discarded.');
}
