import { Module } from '@nestjs/common';

import { defineRoom } from '#boot';

import { AddScale1764000000000 } from './add-scale.migration.ts';
import { CreateRoute1763700000000 } from './create-route.migration.ts';
import { ListRoutesQuery } from './list-routes.query.ts';
import { MendEntriesLoop } from './mend-entries.loop.ts';
import { RegisterRouteHandler } from './register-route.handler.ts';
import { RestoreTrafficHandler } from './restore-traffic.handler.ts';
import { RouteRow } from './route.entity.ts';
import { RouteStore } from './route.store.ts';
import { routesConfig } from './routes.config.ts';
import { ServeDnsLoop } from './serve-dns.loop.ts';
import { ShiftTrafficHandler } from './shift-traffic.handler.ts';
import { WithdrawRouteHandler } from './withdraw-route.handler.ts';

@Module({
  controllers: [
    RegisterRouteHandler,
    WithdrawRouteHandler,
    ShiftTrafficHandler,
    RestoreTrafficHandler,
    ListRoutesQuery,
  ],
  providers: [RouteStore, ServeDnsLoop, MendEntriesLoop],
})
export class RoutesModule {}

export const routesRoom = defineRoom({
  name: 'routes',
  module: RoutesModule,
  config: routesConfig,
  entities: [RouteRow],
  migrations: [CreateRoute1763700000000, AddScale1764000000000],
});
