import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { CreateTriggerTables1764600000000 } from './create-trigger-tables.migration.ts';
import { DeadLetterRow } from './dead-letter.entity.ts';
import { DeadLetterStore } from './dead-letter.store.ts';
import { DeadLettersQuery } from './dead-letters.query.ts';
import { DeliverEventsLoop } from './deliver-events.loop.ts';
import { EventDeliverer } from './deliver-events.ts';
import { FailedTryStore } from './failed-try.store.ts';
import { FireSchedulesLoop } from './fire-schedules.loop.ts';
import { FunctionCaller } from './function-caller.ts';
import { ListTriggersQuery } from './list-triggers.query.ts';
import { PauseTriggerHandler } from './pause-trigger.handler.ts';
import { PreviewScheduleQuery } from './preview-schedule.query.ts';
import { ReplyPublisher } from './publish-reply.ts';
import { PurgeDeadLettersHandler } from './purge-dead-letters.handler.ts';
import { RedriveDeadLettersHandler } from './redrive-dead-letters.handler.ts';
import { RemoveTriggersHandler } from './remove-triggers.handler.ts';
import { SetTriggersHandler } from './set-triggers.handler.ts';
import { TriggerConsumers } from './trigger-consumers.ts';
import { EventFunctionRow, TriggerRow } from './trigger.entity.ts';
import { TriggerStore } from './trigger.store.ts';
import { triggersConfig } from './triggers.config.ts';

@Module({
  controllers: [
    SetTriggersHandler,
    RemoveTriggersHandler,
    PauseTriggerHandler,
    ListTriggersQuery,
    PreviewScheduleQuery,
    DeadLettersQuery,
    RedriveDeadLettersHandler,
    PurgeDeadLettersHandler,
  ],
  providers: [
    TriggerStore,
    DeadLetterStore,
    FailedTryStore,
    TriggerConsumers,
    FunctionCaller,
    ReplyPublisher,
    EventDeliverer,
    DeliverEventsLoop,
    FireSchedulesLoop,
  ],
})
export class TriggersModule {}

export const triggersRoom = defineRoom({
  name: 'triggers',
  module: TriggersModule,
  config: triggersConfig,
  entities: [EventFunctionRow, TriggerRow, DeadLetterRow],
  migrations: [CreateTriggerTables1764600000000],
});
