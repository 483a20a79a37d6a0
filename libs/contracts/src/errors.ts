import { z } from 'zod';

/** Every code CestX answers with: HTTP status, gRPC status, and what the reader can do about it. */
export const errorCodes = {
  'bad-request': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'Correct what the message names and send it again.',
  },
  'invalid-manifest': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'Correct the named key of function.yaml.',
  },
  'invalid-template': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'Correct what the message names in the folder of the template.',
  },
  'invalid-archive': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'Pack plain files with relative paths, without links.',
  },
  unauthenticated: {
    http: 401,
    grpc: 'UNAUTHENTICATED',
    help: 'Send `Authorization: Bearer <key>`; the administrator key lies in <data>/admin-key.',
  },
  'not-found': { http: 404, grpc: 'NOT_FOUND', help: 'Check the name; `cestx list` shows what exists.' },
  conflict: { http: 409, grpc: 'FAILED_PRECONDITION', help: 'Look at the present state and try again.' },
  'invalid-event': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'Correct the attribute the message names; see https://cloudevents.io for what an event needs.',
  },
  'too-large': {
    http: 413,
    grpc: 'RESOURCE_EXHAUSTED',
    help: 'Send less, or leave out what the build does not need.',
  },
  busy: { http: 429, grpc: 'RESOURCE_EXHAUSTED', help: 'Wait the time Retry-After says and try again.' },
  'build-failed': {
    http: 422,
    grpc: 'FAILED_PRECONDITION',
    help: 'Read the last lines of the build log and correct the source.',
  },
  'start-failed': {
    http: 422,
    grpc: 'FAILED_PRECONDITION',
    help: 'Read the last lines of the machine log; the program must listen on $PORT.',
  },
  'no-capacity': {
    http: 503,
    grpc: 'RESOURCE_EXHAUSTED',
    help: 'Wait until machines rest, ask for less memory, or raise CESTX_HOST_MEMORY and CESTX_HOST_MACHINES.',
  },
  'over-quota': {
    http: 403,
    grpc: 'RESOURCE_EXHAUSTED',
    help: 'Remove functions of the project, ask for less, or have its quota raised.',
  },
  'wait-timeout': {
    http: 408,
    grpc: 'DEADLINE_EXCEEDED',
    help: 'The machine is not in that state yet; wait again or look at it.',
  },
  'disk-full': {
    http: 507,
    grpc: 'RESOURCE_EXHAUSTED',
    help: 'Remove functions that are not needed, or give the disk of the data folder more room; then try again.',
  },
  expired: {
    http: 409,
    grpc: 'DEADLINE_EXCEEDED',
    help: 'The command was too old when it was read; nothing was done. Try again.',
  },
  cancelled: {
    http: 409,
    grpc: 'CANCELLED',
    help: 'Somebody ended the deployment before it was live; deploy again.',
  },
  undone: {
    http: 409,
    grpc: 'ABORTED',
    help: 'The deployment was undone before this step ran; deploy again.',
  },
  'timed-out': {
    http: 504,
    grpc: 'DEADLINE_EXCEEDED',
    help: 'The step took longer than it may; look at its log and try again.',
  },
  'invalid-message': {
    http: 400,
    grpc: 'INVALID_ARGUMENT',
    help: 'The sender and the reader disagree about the message; run the same version of every room.',
  },
  'no-driver': { http: 503, grpc: 'UNAVAILABLE', help: 'Start a container engine, or use --driver process.' },
  'function-unreachable': {
    http: 502,
    grpc: 'UNAVAILABLE',
    help: 'The function closed the connection; `cestx logs <name>` shows why.',
  },
  'function-timeout': {
    http: 504,
    grpc: 'DEADLINE_EXCEEDED',
    help: 'The function did not answer within its timeout; raise `timeout` or make it faster.',
  },
  unavailable: {
    http: 503,
    grpc: 'UNAVAILABLE',
    help: 'A part of the platform is away; it is tried again by itself. Try again shortly.',
  },
  internal: {
    http: 500,
    grpc: 'INTERNAL',
    help: 'This is a defect; the log line with this trace id says more.',
  },
} as const satisfies Record<string, { http: number; grpc: string; help: string }>;

export type ErrorCode = keyof typeof errorCodes;
export const errorCodeSchema = z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]);

/** What a failed command says: public text and, where there is one, the end of the log that explains it. */
export const failureSchema = z.object({
  code: errorCodeSchema,
  message: z.string(),
  lastLines: z.array(z.string()).optional(),
});
export type Failure = z.output<typeof failureSchema>;

/** The one error class. `message` is public; `detail` stays in our log; `retryable` is tried again by the queue. */
export class CestxError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly detail: string | undefined;
  readonly lastLines: string[] | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryable?: boolean; detail?: string; lastLines?: string[]; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'CestxError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.detail = options.detail;
    this.lastLines = options.lastLines;
  }

  toFailure(): Failure {
    return {
      code: this.code,
      message: this.message,
      ...(this.lastLines ? { lastLines: this.lastLines } : {}),
    };
  }
}

/** Anything thrown, as a CestxError: what is not one already is an internal, retryable fault. */
export function asCestxError(thrown: unknown): CestxError {
  if (thrown instanceof CestxError) return thrown;
  const detail = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new CestxError('internal', 'Something went wrong inside the platform.', {
    retryable: true,
    detail,
    cause: thrown,
  });
}
