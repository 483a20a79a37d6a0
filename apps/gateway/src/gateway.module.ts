import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { gatewayConfig } from './gateway.config.ts';
import { HttpEdge } from './http-edge.ts';

@Module({ providers: [HttpEdge] })
export class GatewayModule {}

export const gatewayRoom = defineRoom({
  name: 'gateway',
  module: GatewayModule,
  config: gatewayConfig,
  entities: [],
  migrations: [],
});
