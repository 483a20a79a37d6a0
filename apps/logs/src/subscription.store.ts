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
  async subscribe(tx: Transaction, key: FunctionKey, deploymentId: string): Promise<string> {
    await tx.manager.query(
      'INSERT INTO subscription (project, "function", created_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [key.project, key.function, deploymentId],
    );
    const row = await tx.manager.findOneByOrFail(SubscriptionRow, {
      project: key.project,
      function: key.function,
    });
    return row.createdBy;
  }

  /** With `createdBy` only a subscription of that deployment. */
  async unsubscribe(tx: Transaction, key: FunctionKey, createdBy: string | null): Promise<void> {
    const { project, function: name } = key;
    await tx.manager.delete(SubscriptionRow, {
      project,
      function: name,
      ...(createdBy === null ? {} : { createdBy }),
    });
  }
}
