import { Injectable, type CallHandler, type ExecutionContext, type NestInterceptor } from '@nestjs/common';
import { context } from '@opentelemetry/api';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Observable } from 'rxjs';

import { beginRequestTrace, endRequestTrace, traceparentOf } from './request-trace.ts';

/** Runs each control call inside its trace and gives the caller its `traceparent`. */
@Injectable()
export class RequestTraceInterceptor implements NestInterceptor {
  intercept(execution: ExecutionContext, next: CallHandler): Observable<unknown> {
    const request = execution.switchToHttp().getRequest<FastifyRequest>();
    const reply = execution.switchToHttp().getResponse<FastifyReply>();
    const begun = beginRequestTrace(request.raw, request.routeOptions.url ?? request.url);
    if (!begun) return next.handle();
    const traceparent = traceparentOf(begun.span);
    if (traceparent) void reply.header('traceparent', traceparent);
    reply.raw.once('close', () => endRequestTrace(begun.span, reply.raw.statusCode));
    return new Observable((subscriber) =>
      context.with(begun.context, () => next.handle().subscribe(subscriber)),
    );
  }
}
