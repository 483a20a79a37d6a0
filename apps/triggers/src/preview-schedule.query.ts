import { Controller } from '@nestjs/common';

import { PreviewSchedule, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { nextTick } from './plan-ticks.ts';

@Controller()
export class PreviewScheduleQuery {
  @AnswerQuery(PreviewSchedule)
  async handle(request: RequestOf<typeof PreviewSchedule>): Promise<ResponseOf<typeof PreviewSchedule>> {
    const items: string[] = [];
    let at: Date | null = new Date();
    while (items.length < request.count) {
      at = nextTick(request, at);
      if (!at) break;
      items.push(at.toISOString());
    }
    return { items };
  }
}
