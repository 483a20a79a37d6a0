/** What the gateway answered when it refused: an RFC 9457 problem. `code` is `unreachable` when no gateway answered. */
export class ProblemError extends Error {
  readonly code: string;
  readonly status: number;
  readonly help: string | undefined;
  readonly traceId: string | undefined;

  constructor(
    problem: { code: string; status: number; detail: string; help?: string; traceId?: string },
    options?: ErrorOptions,
  ) {
    super(problem.detail, options);
    this.name = 'ProblemError';
    this.code = problem.code;
    this.status = problem.status;
    this.help = problem.help;
    this.traceId = problem.traceId;
  }
}

export async function problemFrom(answer: Response): Promise<ProblemError> {
  const said = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const help = text(said['help']);
  const traceId = text(said['traceId']);
  return new ProblemError({
    code: text(said['code']) ?? 'unexpected-answer',
    status: answer.status,
    detail:
      text(said['detail']) ??
      `The gateway answered ${answer.status}, and not in the form of a CestX gateway.`,
    ...(help ? { help } : {}),
    ...(traceId ? { traceId } : {}),
  });
}
