import { Controller } from '@nestjs/common';

import { ListScaleDecisions, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { DecisionStore } from './decision.store.ts';

@Controller()
export class ListScaleDecisionsQuery {
  constructor(private readonly decisions: DecisionStore) {}

  @AnswerQuery(ListScaleDecisions)
  async answer(
    request: RequestOf<typeof ListScaleDecisions>,
  ): Promise<ResponseOf<typeof ListScaleDecisions>> {
    const rows = await this.decisions.list(request, request.limit);
    return {
      items: rows.map(({ id: _id, decidedAt, ...row }) => ({ ...row, at: decidedAt.toISOString() })),
    };
  }
}
