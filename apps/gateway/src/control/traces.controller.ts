import { Controller } from '@nestjs/common';

import { CestxError, spanBatchSchema, traceSubject } from '#contracts';
import { Feeds } from '#messaging';

import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { Input, Serves } from './serves.decorator.ts';

@Controller()
export class TracesController {
  private readonly feeds: Feeds;

  constructor(feeds: Feeds) {
    this.feeds = feeds;
  }

  @Serves(operations.getTrace)
  async get(@Input(operations.getTrace) { params }: InputOf<typeof operations.getTrace>) {
    const batches = await this.feeds.read(traceSubject(params.traceId), spanBatchSchema);
    // A batch that was sent twice brings its spans twice.
    const spans = new Map(batches.flatMap(({ value }) => value).map((span) => [span.spanId, span]));
    if (spans.size === 0) throw new CestxError('not-found', 'No span of this trace is kept.');
    const inOrder = [...spans.values()].sort((a, b) => a.startTime.localeCompare(b.startTime));
    return { traceId: params.traceId, spans: inOrder };
  }
}
