import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { scalerConfig } from './scaler.config.ts';

@Module({})
export class ScalerModule {}

export const scalerRoom = defineRoom({
  name: 'scaler',
  module: ScalerModule,
  config: scalerConfig,
  entities: [],
  migrations: [],
});
