import { ProblemError, SourceError } from '#client';
import { CestxError, errorCodes } from '#contracts';

/** A wrong or missing argument: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Explanation {
  code: string;
  message: string;
  help?: string;
  traceId?: string;
  /** The end of the log that explains it. */
  lastLines?: string[];
  exitCode: 1 | 2;
}

/** Anything thrown, in words a reader can act on; never a stack trace. */
export function explainError(thrown: unknown): Explanation {
  if (thrown instanceof UsageError) return { code: 'usage', message: thrown.message, exitCode: 2 };
  if (thrown instanceof SourceError) {
    return { code: 'bad-source', message: thrown.message, ...helpOf(thrown.help), exitCode: 1 };
  }
  if (thrown instanceof ProblemError) {
    return {
      code: thrown.code,
      message: thrown.message,
      ...helpOf(thrown.help ?? knownHelp(thrown.code)),
      ...(thrown.traceId ? { traceId: thrown.traceId } : {}),
      exitCode: 1,
    };
  }
  if (thrown instanceof CestxError) {
    return {
      code: thrown.code,
      message: thrown.message,
      ...helpOf(knownHelp(thrown.code)),
      ...(thrown.lastLines ? { lastLines: thrown.lastLines } : {}),
      exitCode: 1,
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: systemCode(thrown) ?? 'failed', message, exitCode: 1 };
}

function helpOf(help: string | undefined): { help?: string } {
  return help ? { help } : {};
}

function knownHelp(code: string): string | undefined {
  if (code === 'unreachable')
    return 'Start it with `npm start`, or name another with --url; `cestx doctor` looks closer.';
  return Object.entries(errorCodes).find(([known]) => known === code)?.[1].help;
}

function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
