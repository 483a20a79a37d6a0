import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { CestxError, CheckTemplate, type Failure, type TemplateDefinition } from '#contracts';
import { Database, type Transaction } from '#storage';

import { lockSource } from './source.store.ts';
import { TemplateRow } from './template.entity.ts';

interface NewVersion {
  id: string;
  project: string;
  sourceDigest: string;
  definition: TemplateDefinition;
}

/** A check that takes longer than any build may has been lost. */
const checkIsLost = `state = 'checking' AND changed_at < now() - interval '2 hours'`;
const isUsing = `state IN ('waiting', 'building', 'built')`;

@Injectable()
export class TemplateStore {
  constructor(private readonly database: Database) {}

  /** The versions of one template, the newest first. */
  async versions(project: string, name: string): Promise<TemplateRow[]> {
    return this.#rows.find({ where: { project, name }, order: { version: 'DESC' } });
  }

  async all(project: string): Promise<TemplateRow[]> {
    return this.#rows.find({ where: { project }, order: { name: 'ASC', version: 'DESC' } });
  }

  async find(id: string): Promise<TemplateRow | null> {
    return this.#rows.findOneBy({ id });
  }

  /** The versions that builds of a project use. */
  async ready(project: string): Promise<TemplateRow[]> {
    return this.#rows.find({ where: { project, state: 'ready' }, order: { name: 'ASC' } });
  }

  /** Functions by template, of those that have a build which is not discarded. */
  async users(project: string, names: string[]): Promise<Map<string, string[]>> {
    const rows: { template: string; functions: string[] }[] = await this.database.dataSource.query(
      `SELECT template, array_agg(DISTINCT "function") AS functions FROM build
       WHERE project = $1 AND template = ANY($2) AND ${isUsing} GROUP BY template`,
      [project, names],
    );
    return new Map(rows.map(({ template, functions }) => [template, functions]));
  }

  /** Notes a new version and orders its check, both or neither. Does nothing when it is known already. */
  async add(version: NewVersion, update: boolean): Promise<void> {
    const { id, project, sourceDigest, definition } = version;
    const { name } = definition;
    await this.database.transaction(async (tx) => {
      await lockSource(tx, sourceDigest);
      await lockTemplate(tx, project, name);
      const rows = await tx.manager.find(TemplateRow, { where: { project, name } });
      if (rows.some((row) => row.id === id)) return;
      await tx.manager.query(
        `UPDATE template SET state = 'refused' WHERE project = $1 AND name = $2 AND ${checkIsLost}`,
        [project, name],
      );
      const alive = await tx.manager.findBy(TemplateRow, { project, name, state: In(['ready', 'checking']) });
      refuse(name, alive, update);
      await tx.manager.insert(TemplateRow, {
        ...version,
        name,
        version: Math.max(0, ...rows.map((row) => row.version)) + 1,
        state: 'checking',
        error: null,
        changedAt: new Date(),
      });
      await tx.send(CheckTemplate, id, { versionId: id }, { messageId: `check-${id}` });
    });
  }

  /** From now on builds use it instead of the one before. */
  async accept(tx: Transaction, { id, project, name }: TemplateRow): Promise<void> {
    await lockTemplate(tx, project, name);
    const checked = await tx.query(
      `UPDATE template SET state = 'ready', changed_at = now() WHERE id = $1 AND state = 'checking' RETURNING id`,
      [id],
    );
    if (checked.length === 0) return;
    await tx.query(
      `UPDATE template SET state = 'replaced' WHERE project = $1 AND name = $2 AND state = 'ready' AND id <> $3`,
      [project, name, id],
    );
  }

  async refuse(id: string, error: Failure): Promise<void> {
    await this.#rows.update({ id, state: 'checking' }, { state: 'refused', error, changedAt: new Date() });
  }

  /** Notes that a build is made from a template, so that it is not deleted meanwhile; false when it was. */
  async use(buildId: string, { id, project, name, version }: TemplateRow): Promise<boolean> {
    return await this.database.transaction(async (tx) => {
      await lockTemplate(tx, project, name);
      const there = await tx.query('SELECT 1 FROM template WHERE id = $1', [id]);
      if (there.length === 0) return false;
      await tx.query('UPDATE build SET template = $2, template_version = $3 WHERE id = $1', [
        buildId,
        name,
        version,
      ]);
      return true;
    });
  }

  /** The version of a template of one's own that a build is made from. */
  async usedBy(buildId: string): Promise<TemplateRow | null> {
    const [used]: { id: string }[] = await this.database.dataSource.query(
      `SELECT template.id FROM build JOIN template ON template.project = build.project AND template.name = build.template
         AND template.version = build.template_version WHERE build.id = $1`,
      [buildId],
    );
    return used ? await this.find(used.id) : null;
  }

  /** Throws `conflict` with the functions that use it. */
  async delete(tx: Transaction, project: string, name: string): Promise<void> {
    await lockTemplate(tx, project, name);
    const users = await tx.query<{ function: string }>(
      `SELECT DISTINCT "function" FROM build WHERE project = $1 AND template = $2 AND ${isUsing} ORDER BY 1 LIMIT 20`,
      [project, name],
    );
    if (users.length > 0) {
      throw new CestxError(
        'conflict',
        `The template "${name}" is used by ${users.map((row) => row.function).join(', ')}; remove them, or deploy them with another one, first.`,
      );
    }
    await tx.query('DELETE FROM template WHERE project = $1 AND name = $2', [project, name]);
  }

  get #rows() {
    return this.database.dataSource.getRepository(TemplateRow);
  }
}

function refuse(name: string, alive: readonly TemplateRow[], update: boolean): void {
  if (alive.some(({ state }) => state === 'checking')) {
    throw new CestxError('conflict', `A version of the template "${name}" is being checked; wait for it.`);
  }
  if (update && alive.length === 0)
    throw new CestxError('not-found', `There is no template "${name}" to update; create it.`);
  if (!update && alive.length > 0)
    throw new CestxError(
      'conflict',
      `There is a template "${name}" already; update it, or take another name.`,
    );
}

/** Until the transaction ends nobody else adds, accepts, uses or deletes a version of it. */
async function lockTemplate(tx: Transaction, project: string, name: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('template ' || $1 || '/' || $2, 0))`, [
    project,
    name,
  ]);
}
