import { Controller } from '@nestjs/common';

import { asCestxError, ListTriggers, type RequestOf, type ResponseOf, type Trigger } from '#contracts';
import { AnswerQuery, EventStreams } from '#messaging';

import { durableOf, streamOf } from './consumer-names.ts';
import type { TriggerRow } from './trigger.entity.ts';
import { TriggerStore } from './trigger.store.ts';

@Controller()
export class ListTriggersQuery {
  constructor(
    private readonly triggers: TriggerStore,
    private readonly streams: EventStreams,
  ) {}

  @AnswerQuery(ListTriggers)
  async handle(request: RequestOf<typeof ListTriggers>): Promise<ResponseOf<typeof ListTriggers>> {
    const rows = await this.triggers.list(request);
    return { items: await Promise.all(rows.map((row) => this.#describe(row))), nextCursor: null };
  }

  async #describe(row: TriggerRow): Promise<Trigger> {
    const { project, function: name, id, settings, paused, nextAt, createdAt } = row;
    const described: Trigger = {
      id,
      project,
      function: name,
      settings,
      state: paused ? 'paused' : 'active',
      reason: null,
      waiting: null,
      working: null,
      nextAt: nextAt?.toISOString() ?? null,
      createdAt: createdAt.toISOString(),
    };
    if (settings.kind === 'schedule') return described;
    try {
      return { ...described, ...(await this.streams.backlog(streamOf(settings), durableOf(row, id))) };
    } catch (error) {
      return { ...described, state: 'broken', reason: asCestxError(error).message };
    }
  }
}
