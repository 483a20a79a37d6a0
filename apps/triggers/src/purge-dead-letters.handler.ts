import { Controller } from '@nestjs/common';

import { PurgeDeadLetters, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { DeadLetterStore } from './dead-letter.store.ts';

@Controller()
export class PurgeDeadLettersHandler {
  constructor(private readonly deadLetters: DeadLetterStore) {}

  @HandleCommand(PurgeDeadLetters)
  async handle(command: PayloadOf<typeof PurgeDeadLetters>): Promise<Outcome<typeof PurgeDeadLetters>> {
    const purged = await this.deadLetters.count(command);
    return { done: { purged }, write: (tx) => this.deadLetters.purge(tx, command) };
  }
}
