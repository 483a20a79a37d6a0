import { Controller } from '@nestjs/common';

import { GetDeadLetter, ListDeadLetters, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { cursorOf, DeadLetterStore, describeDeadLetter } from './dead-letter.store.ts';

@Controller()
export class DeadLettersQuery {
  constructor(private readonly deadLetters: DeadLetterStore) {}

  @AnswerQuery(ListDeadLetters)
  async list(request: RequestOf<typeof ListDeadLetters>): Promise<ResponseOf<typeof ListDeadLetters>> {
    const rows = await this.deadLetters.list(request, request.limit + 1, request.cursor);
    const page = rows.slice(0, request.limit);
    const last = rows.length > request.limit ? page.at(-1) : undefined;
    return { items: page.map(describeDeadLetter), nextCursor: last ? cursorOf(last) : null };
  }

  @AnswerQuery(GetDeadLetter)
  async get({ project, id }: RequestOf<typeof GetDeadLetter>): Promise<ResponseOf<typeof GetDeadLetter>> {
    const row = await this.deadLetters.get(project, id);
    return { ...describeDeadLetter(row), headers: row.headers, dataBase64: row.data.toString('base64') };
  }
}
