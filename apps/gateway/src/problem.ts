import { STATUS_CODES } from 'node:http';

import { errorCodes, type CestxError, type ErrorCode } from '#contracts';

/** RFC 9457 problem details with our stable `code` and what to do about it. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  detail: string;
  help: string;
  traceId?: string;
  lastLines?: string[];
}

export const problemType = 'application/problem+json';

/** The only place where an error code becomes an HTTP status. */
export function problemOf(
  error: Pick<CestxError, 'code' | 'message' | 'lastLines'>,
  options: { status?: number; traceId?: string | undefined } = {},
): Problem {
  const { http, help } = errorCodes[error.code];
  const status = options.status ?? http;
  return {
    type: `/docs#${error.code}`,
    title: STATUS_CODES[status] ?? error.code,
    status,
    code: error.code,
    detail: error.message,
    help,
    ...(options.traceId ? { traceId: options.traceId } : {}),
    ...(error.lastLines?.length ? { lastLines: error.lastLines } : {}),
  };
}

/** Headers that go with a problem. */
export function problemHeaders(problem: Problem): Record<string, string> {
  return {
    'content-type': problemType,
    ...(problem.status === 429 || problem.status === 503 ? { 'retry-after': '1' } : {}),
    ...(problem.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  };
}
