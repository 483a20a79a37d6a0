import { setTimeout as sleep } from 'node:timers/promises';

import { Controller } from '@nestjs/common';

import { callSubject, CestxError, RedriveDeadLetters, type PayloadOf } from '#contracts';
import { EventStreams, HandleCommand, type MessageContext, type Outcome } from '#messaging';

import type { DeadLetterRow } from './dead-letter.entity.ts';
import { DeadLetterStore } from './dead-letter.store.ts';
import { transportHeaders } from './read-delivery.ts';
import { TriggerStore } from './trigger.store.ts';

const pageSize = 100;

/** Puts dead letters back in line for their functions. Each leaves the list only after the broker has it. */
@Controller()
export class RedriveDeadLettersHandler {
  constructor(
    private readonly deadLetters: DeadLetterStore,
    private readonly triggers: TriggerStore,
    private readonly streams: EventStreams,
  ) {}

  @HandleCommand(RedriveDeadLetters, { concurrency: 2 })
  async handle(
    command: PayloadOf<typeof RedriveDeadLetters>,
    { signal }: MessageContext,
  ): Promise<Outcome<typeof RedriveDeadLetters>> {
    const { perSecond, ...asked } = command;
    // One that dies again meanwhile is not handed over a second time: a function that refuses it would be asked for ever.
    const filter = { ...asked, diedBefore: new Date() };
    const pauseMs = 1000 / perSecond;
    let redriven = 0;
    for (;;) {
      const rows = await this.deadLetters.list(filter, pageSize);
      if (rows.length === 0) return { done: { redriven } };
      for (const row of rows) {
        signal.throwIfAborted();
        await this.#redrive(row);
        redriven++;
        await sleep(pauseMs, undefined, { signal });
      }
    }
  }

  async #redrive(row: DeadLetterRow): Promise<void> {
    if (!(await this.triggers.isKnown(row))) {
      throw new CestxError(
        'not-found',
        `${row.function} is not there any more: deploy it, or purge its dead letters.`,
      );
    }
    // The trace it came with goes on; how long it waited as a dead letter does not count as age.
    await this.streams.publish(callSubject(row.project, row.function, 'redrive', row.id), row.data, {
      messageId: `redrive/${row.id}/${row.diedAt.getTime()}`,
      headers: { ...row.headers, [transportHeaders.subject]: row.subject },
    });
    await this.deadLetters.delete([row.id]);
  }
}
