import { Injectable } from '@nestjs/common';

import type { Transaction } from '#storage';

import { SubscriptionRow } from './subscription.entity.ts';

interface FunctionKey {
  project: string;
  function: string;
}

/** Which functions are subscribed to. All of it happens in the transaction of a command, after what that one undoes. */
@Injectable()
export class SubscriptionStore {
  /** Subscribes unless somebody has, and says who did. */
  async subscribe(tx: Transaction, key: FunctionKey, deploymentId: string): Promise<string | null> {
    await tx.manager.query(
      `INSERT INTO subscription AS s (project, "function", state, created_by) VALUES ($1, $2, 'subscribed', $3)
       ON CONFLICT (project, "function") DO UPDATE SET state = 'subscribed', created_by = EXCLUDED.created_by
       WHERE s.state = 'removed'`,
      [key.project, key.function, deploymentId],
    );
    const row = await tx.manager.findOneByOrFail(SubscriptionRow, {
      project: key.project,
      function: key.function,
    });
    return row.createdBy;
  }

  /** Ends a subscription that this deployment made. */
  async takeBack(tx: Transaction, key: FunctionKey, createdBy: string): Promise<void> {
    const ours = [key.project, key.function, createdBy];
    await tx.manager.query(
      `DELETE FROM subscription
       WHERE project = $1 AND "function" = $2 AND created_by = $3 AND removed_at IS NULL`,
      ours,
    );
    // An earlier function of this name was removed a short while ago; that still has to be known.
    await tx.manager.query(
      `UPDATE subscription SET state = 'removed', created_by = NULL
       WHERE project = $1 AND "function" = $2 AND created_by = $3`,
      ours,
    );
  }

  /** Ends any subscription of a function that is removed, and notes when that was. */
  async remove(tx: Transaction, key: FunctionKey, now = new Date()): Promise<void> {
    await tx.manager.query(
      `INSERT INTO subscription (project, "function", state, removed_at) VALUES ($1, $2, 'removed', $3)
       ON CONFLICT (project, "function") DO UPDATE
       SET state = 'removed', created_by = NULL, removed_at = EXCLUDED.removed_at`,
      [key.project, key.function, now],
    );
  }
}
