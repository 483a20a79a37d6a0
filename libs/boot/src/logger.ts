import { context, trace } from '@opentelemetry/api';
import type { LoggerService } from '@nestjs/common';
import { destination, pino, type Logger } from 'pino';

/** Injection token of the room's logger. */
export const LOGGER = Symbol('LOGGER');

/** JSON lines on stderr, or in `file`; each carries the trace it belongs to. Keys and secrets never reach a log. */
export function makeLogger(options: { level: string; name: string; file?: string | undefined }): Logger {
  return pino(
    {
      level: options.level,
      base: { room: options.name },
      redact: ['key', 'token', 'authorization', '*.authorization', '*.password'],
      mixin() {
        const span = trace.getSpanContext(context.active());
        return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
      },
    },
    destination(
      options.file ? { dest: options.file, append: true, mkdir: true, sync: false } : { fd: 2, sync: false },
    ),
  );
}

/** Nest's own words through pino; its start-up chatter is for debugging. */
export function nestLogger(logger: Logger): LoggerService {
  return {
    log: (message: unknown) => logger.debug({ nest: true }, String(message)),
    debug: (message: unknown) => logger.debug({ nest: true }, String(message)),
    verbose: (message: unknown) => logger.trace({ nest: true }, String(message)),
    warn: (message: unknown) => logger.warn({ nest: true }, String(message)),
    error: (message: unknown, stack?: unknown) => logger.error({ nest: true, stack }, String(message)),
    fatal: (message: unknown) => logger.fatal({ nest: true }, String(message)),
  };
}
