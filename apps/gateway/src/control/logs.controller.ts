import { Controller, Headers, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Logger } from 'pino';

import { LOGGER } from '#boot';
import { GetFunction } from '#contracts';
import { Messenger } from '#messaging';

import { OpenAnswers } from './open-answers.ts';
import type { InputOf } from './operation.ts';
import { operations } from './operations.ts';
import { readLogs } from './read-logs.ts';
import { Input, Serves } from './serves.decorator.ts';

@Controller()
export class LogsController {
  private readonly messenger: Messenger;
  private readonly answers: OpenAnswers;
  private readonly logger: Logger;

  constructor(messenger: Messenger, answers: OpenAnswers, @Inject(LOGGER) logger: Logger) {
    this.messenger = messenger;
    this.answers = answers;
    this.logger = logger;
  }

  @Serves(operations.getLogs)
  async read(
    @Input(operations.getLogs) { params, query }: InputOf<typeof operations.getLogs>,
    @Headers('accept') accept: string | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const key = { project: query.project, function: params.name };
    const { follow, since, tail, machine } = query;
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const pages = readLogs(
      this.messenger,
      { ...key, follow, since, tail, machine, after: query.after ?? (lastEventId || undefined) },
      gone.signal,
    );
    // The first page is read before the answer begins, so that a failure is still a problem with a status.
    const first = await pages.next();
    // A function that was never live may have lines of its failed start; only without any it is unknown.
    if (first.done || first.value.length === 0) await this.messenger.ask(GetFunction, key);
    const events = accept?.includes('text/event-stream') === true;
    const answer = this.answers.begin(reply, events ? 'text/event-stream' : 'application/x-ndjson');
    try {
      for (const line of first.value ?? []) await answer.send(line, { name: 'line', id: line.cursor });
      for await (const lines of pages) {
        if (lines.length === 0) await answer.beat();
        for (const line of lines) await answer.send(line, { name: 'line', id: line.cursor });
      }
      answer.end();
    } catch (error) {
      this.logger.warn({ err: error, ...key }, 'a log that was read broke off');
      answer.breakOff();
    }
  }
}
