import { Injectable } from '@nestjs/common';

import { AdjustMachines, ScaleDecided, type PayloadOf, type ScaleDecision } from '#contracts';
import { Database, type Transaction } from '#storage';

import { DecisionRow } from './decision.entity.ts';

/** Decisions kept of one function. */
const keptDecisions = 100;
/** An order that lay about longer than this speaks of a load that is over. */
const orderLifeMs = 30_000;

interface FunctionKey {
  project: string;
  function: string;
}

/** Decisions, and the orders that follow from them. */
@Injectable()
export class DecisionStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Keeps, tells and orders in one transaction; returns the id of the row. */
  async decide(decision: ScaleDecision): Promise<string> {
    return this.#database.transaction(async (tx) => {
      const { from, to, panicValue, ...rest } = decision;
      const [row] = await tx.query<{ id: string }>(
        `INSERT INTO scale_decision
           (project, "function", revision, from_machines, to_machines, metric, value, panic_value, target, panic, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id`,
        [
          rest.project,
          rest.function,
          rest.revision,
          from,
          to,
          rest.metric,
          rest.value,
          panicValue,
          rest.target,
          rest.panic,
          rest.reason,
        ],
      );
      await tx.query(
        `DELETE FROM scale_decision WHERE project = $1 AND "function" = $2 AND id <=
           (SELECT id FROM scale_decision WHERE project = $1 AND "function" = $2 ORDER BY id DESC OFFSET $3 LIMIT 1)`,
        [rest.project, rest.function, keptDecisions],
      );
      await tx.emit(ScaleDecided, orderId(decision), decision);
      await this.#order(tx, decision);
      return row?.id ?? '';
    });
  }

  /** The same order once more; nothing new was decided. */
  async orderAgain(decision: ScaleDecision): Promise<void> {
    await this.#database.transaction((tx) => this.#order(tx, decision));
  }

  async setOutcome(id: string, outcome: string): Promise<void> {
    await this.#database.dataSource.manager.update(DecisionRow, { id }, { outcome });
  }

  /** The newest first. */
  async list({ project, function: name }: FunctionKey, limit: number): Promise<DecisionRow[]> {
    return this.#database.dataSource.manager.find(DecisionRow, {
      where: { project, function: name },
      order: { id: 'DESC' },
      take: limit,
    });
  }

  async forget({ project, function: name }: FunctionKey): Promise<void> {
    await this.#database.dataSource.manager.delete(DecisionRow, { project, function: name });
  }

  /** Forgets functions that went while nobody looked; `keys` are `<project>.<function>`. */
  async forgetAllBut(keys: string[]): Promise<void> {
    await this.#database.dataSource.query(
      `DELETE FROM scale_decision WHERE NOT (project || '.' || "function" = ANY($1))`,
      [keys],
    );
  }

  async #order(tx: Transaction, decision: ScaleDecision): Promise<void> {
    const order: PayloadOf<typeof AdjustMachines> = {
      project: decision.project,
      function: decision.function,
      revision: decision.revision,
      machines: decision.to,
      reason: decision.reason,
    };
    const expiresAt = new Date(Date.now() + orderLifeMs);
    await tx.send(AdjustMachines, orderId(decision), order, { expiresAt });
  }
}

/** One token that names a revision of a project; the ends of an order carry it. Labels hold no underscore. */
export function orderId({ project, revision }: { project: string; revision: string }): string {
  return `${project}_${revision}`;
}
