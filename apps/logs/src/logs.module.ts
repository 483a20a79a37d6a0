import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { CreateLogTables1763700000000 } from './create-log-tables.migration.ts';
import { KeepLinesLoop } from './keep-lines.loop.ts';
import { LineRetentionStore } from './line-retention.store.ts';
import { LineWaiters } from './line-waiters.ts';
import { ListLogLinesQuery } from './list-log-lines.query.ts';
import { LogLineRow } from './log-line.entity.ts';
import { LogLineStore } from './log-line.store.ts';
import { logsConfig } from './logs.config.ts';
import { PruneLinesLoop } from './prune-lines.loop.ts';
import { SubscribeLogsHandler } from './subscribe-logs.handler.ts';
import { SubscriptionRow } from './subscription.entity.ts';
import { SubscriptionStore } from './subscription.store.ts';
import { UnsubscribeLogsHandler } from './unsubscribe-logs.handler.ts';

@Module({
  controllers: [SubscribeLogsHandler, UnsubscribeLogsHandler, ListLogLinesQuery],
  providers: [
    LogLineStore,
    LineRetentionStore,
    SubscriptionStore,
    LineWaiters,
    KeepLinesLoop,
    PruneLinesLoop,
  ],
})
export class LogsModule {}

export const logsRoom = defineRoom({
  name: 'logs',
  module: LogsModule,
  config: logsConfig,
  entities: [LogLineRow, SubscriptionRow],
  migrations: [CreateLogTables1763700000000],
});
