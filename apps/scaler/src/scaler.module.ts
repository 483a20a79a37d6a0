import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { CreateDecision1764000000000 } from './create-decision.migration.ts';
import { DecisionRow } from './decision.entity.ts';
import { DecisionStore } from './decision.store.ts';
import { LeaderStore } from './leader.store.ts';
import { ListScaleDecisionsQuery } from './list-scale-decisions.query.ts';
import { ScaleFunctionsLoop } from './scale-functions.loop.ts';
import { scalerConfig } from './scaler.config.ts';

@Module({
  controllers: [ListScaleDecisionsQuery],
  providers: [DecisionStore, LeaderStore, ScaleFunctionsLoop],
})
export class ScalerModule {}

export const scalerRoom = defineRoom({
  name: 'scaler',
  module: ScalerModule,
  config: scalerConfig,
  entities: [DecisionRow],
  migrations: [CreateDecision1764000000000],
});
