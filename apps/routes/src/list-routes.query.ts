import { Controller } from '@nestjs/common';

import { ListRoutes, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { RouteStore } from './route.store.ts';

@Controller()
export class ListRoutesQuery {
  constructor(private readonly routes: RouteStore) {}

  @AnswerQuery(ListRoutes)
  async answer(request: RequestOf<typeof ListRoutes>): Promise<ResponseOf<typeof ListRoutes>> {
    const rows = await this.routes.list(request.project);
    return {
      items: rows.map((row) => ({
        project: row.project,
        function: row.function,
        host: row.host,
        traffic: row.traffic,
      })),
    };
  }
}
