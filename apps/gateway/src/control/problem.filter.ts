import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';

import { asCestxError, CestxError, errorCodes } from '#contracts';

import { problemHeaders, problemOf } from '../problem.ts';
import { traceIdOf } from './request-trace.ts';

/** Answers whatever was thrown as a problem; internal faults go to the log with their detail, never to the caller. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger: Logger;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  catch(thrown: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = readError(thrown);
    if (errorCodes[error.code].http >= 500) {
      const { code, message, detail } = error;
      this.logger.error({ code, detail, method: request.method, url: request.url }, message);
    }
    if (reply.raw.headersSent) return void reply.raw.destroy();
    const problem = problemOf(error, { traceId: traceIdOf(request.raw) });
    void reply.code(problem.status).headers(problemHeaders(problem)).send(JSON.stringify(problem));
  }
}

/** Nest's and Fastify's own refusals carry a status; ours carry a code. */
function readError(thrown: unknown): CestxError {
  if (thrown instanceof CestxError) return thrown;
  const status = thrown instanceof HttpException ? thrown.getStatus() : statusOf(thrown);
  const text = thrown instanceof Error ? thrown.message : '';
  if (status === 404) return new CestxError('not-found', 'There is nothing at this address.');
  if (status === 413) return new CestxError('too-large', 'The body is too large.');
  if (status !== undefined && status >= 400 && status < 500) return new CestxError('bad-request', text);
  return asCestxError(thrown);
}

function statusOf(thrown: unknown): number | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('statusCode' in thrown)) return undefined;
  return typeof thrown.statusCode === 'number' ? thrown.statusCode : undefined;
}
