import { Injectable } from '@nestjs/common';

import type { FeedLine } from '#contracts';
import { Database, type Transaction } from '#storage';

import { LogLineRow } from './log-line.entity.ts';
import { readLineFields } from './read-line-fields.ts';

export interface LineFilter {
  project: string;
  function: string;
  machine?: string | undefined;
  since?: string | undefined;
  /** Only what is behind this id. */
  after?: string | undefined;
}

/**
 * The kept lines.
 *
 * 1. Lines and the place in the feed they were read up to commit together: killed at any instant, reading goes on exactly there.
 * 2. Who adds lines holds the lock of `feed_place` until the commit. So ids become visible in their order, and a reader that
 *    has seen an id will never find a smaller one later.
 */
@Injectable()
export class LogLineStore {
  constructor(private readonly database: Database) {}

  async place(): Promise<number> {
    const rows = (await this.database.dataSource.query('SELECT sequence FROM feed_place')) as {
      sequence: string;
    }[];
    return Number(rows[0]?.sequence ?? 0);
  }

  /** False, and nothing kept, when somebody else has read on from `from` in the meantime. */
  async keep(lines: FeedLine[], from: number, to: number): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      const rows = (await tx.manager.query('SELECT sequence FROM feed_place FOR UPDATE')) as {
        sequence: string;
      }[];
      if (Number(rows[0]?.sequence) !== from) return false;
      await insert(tx, lines);
      await tx.manager.query('UPDATE feed_place SET sequence = $1', [to]);
      return true;
    });
  }

  /** Lines in order, oldest first. */
  async list(filter: LineFilter, limit: number): Promise<LogLineRow[]> {
    return this.#select(filter).orderBy('line.id', 'ASC').limit(limit).getMany();
  }

  /** The id behind which the last `count` lines begin: with it as `after` they, and all that follow, are listed. */
  async idBeforeLast(filter: LineFilter, count: number): Promise<string> {
    const row = await this.#select(filter).orderBy('line.id', 'DESC').offset(count).limit(1).getOne();
    return row?.id ?? filter.after ?? '0';
  }

  /** Forgets a function's lines. Those still on their way are known by its subscription, which has to say `removed` already. */
  async forget(tx: Transaction, key: { project: string; function: string }): Promise<void> {
    await tx.manager.query('SELECT 1 FROM feed_place FOR UPDATE');
    await tx.manager.query('DELETE FROM log_line WHERE project = $1 AND "function" = $2', [
      key.project,
      key.function,
    ]);
  }

  #select(filter: LineFilter) {
    const { project, function: name, machine, since, after } = filter;
    const select = this.database.dataSource
      .getRepository(LogLineRow)
      .createQueryBuilder('line')
      .where('line.project = :project AND line.function = :name', { project, name });
    if (machine) select.andWhere('line.machine = :machine', { machine });
    if (since) select.andWhere('line.timestamp >= :since', { since });
    if (after) select.andWhere('line.id > :after', { after });
    return select;
  }
}

async function insert(tx: Transaction, lines: FeedLine[]): Promise<void> {
  const fields = lines.map((line) => readLineFields(line.text));
  await tx.manager.query(
    `INSERT INTO log_line (project, "function", revision, machine, position, stream, "timestamp", text, call_id, trace_id)
     SELECT l.project, l.name, l.revision, l.machine, l.position, l.stream, l.said, l.text, l.call_id, l.trace_id
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::timestamptz[], $8::text[],
                 $9::text[], $10::text[])
       WITH ORDINALITY AS l (project, name, revision, machine, position, stream, said, text, call_id, trace_id, nth)
     WHERE NOT EXISTS (
       SELECT 1 FROM subscription s
       WHERE s.project = l.project AND s."function" = l.name AND l.said <= s.removed_at)
     ORDER BY l.nth
     ON CONFLICT (machine, position) DO NOTHING`,
    [
      lines.map((line) => line.project),
      lines.map((line) => line.name),
      lines.map((line) => line.revision),
      lines.map((line) => line.machine),
      lines.map((line) => line.position),
      lines.map((line) => line.stream),
      lines.map((line) => line.timestamp),
      lines.map((line) => storable(line.text)),
      fields.map((field) => field.callId),
      fields.map((field) => field.traceId),
    ],
  );
}

/** PostgreSQL's text takes no NUL, and half of a surrogate pair is no UTF-8. */
function storable(text: string): string {
  return text.replaceAll('\0', '').toWellFormed();
}
