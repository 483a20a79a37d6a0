import { fstatSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';

import { paint, ProblemError } from '#client';
import { errorCodes } from '#contracts';

import { UsageError } from './explain-error.ts';
import { renderLogLine } from './logs.command.ts';
import { isJsonText, readData } from './read-data.ts';
import type { Session, Surroundings } from './session.ts';

export interface InvokeOptions {
  data?: string;
  request?: string;
  header?: string[];
  path?: string;
}

/** Calls a function: its answer to stdout; when it fails, the end of its log to stderr. */
export async function invoke(session: Session, name: string, options: InvokeOptions): Promise<number> {
  const body = await readBody(options.data, session.surroundings);
  const headers = Object.fromEntries((options.header ?? []).map(readHeader));
  if (body && !Object.keys(headers).some((header) => header.toLowerCase() === 'content-type')) {
    if (isJsonText(body)) headers['content-type'] = 'application/json';
  }
  const answer = await session.client.invoke(name, {
    path: options.path,
    method: options.request?.toUpperCase(),
    body,
    headers,
    signal: session.surroundings.signal,
  });
  const received = Buffer.from(await answer.arrayBuffer());
  const problem = platformProblem(answer, received);
  if (problem) throw problem;
  if (session.json) {
    session.printJson({
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      body: received.toString('utf8'),
      callId: answer.headers.get('x-call-id'),
      traceId: traceIdOf(answer),
    });
  } else {
    session.surroundings.stdout.write(received);
    if (session.surroundings.stdout.isTTY && received.at(-1) !== 0x0a) session.print('');
  }
  if (answer.ok) return 0;
  await tellFailure(session, name, answer);
  return 1;
}

async function tellFailure(session: Session, name: string, answer: Response): Promise<void> {
  const { style } = session;
  session.tell(paint(`${name} answered ${answer.status}.`, 'red', style));
  try {
    const lines: string[] = [];
    for await (const line of session.client.logs(name, { tail: 10 }))
      lines.push(`  ${renderLogLine(line, style)}`);
    if (lines.length > 0) session.tell(`Its last log lines:\n${lines.join('\n')}`);
  } catch {
    session.tell('Its log cannot be read without a key; set CESTX_KEY.');
  }
  const traceId = traceIdOf(answer);
  if (traceId) session.tell(paint(`cestx trace ${traceId}`, 'dim', style));
}

/** What the platform, not the function, answered: a problem with one of our own codes. */
function platformProblem(answer: Response, body: Buffer): ProblemError | null {
  if (answer.ok || !answer.headers.get('content-type')?.startsWith('application/problem+json')) return null;
  try {
    const said = JSON.parse(body.toString('utf8')) as { code?: unknown; detail?: unknown; title?: unknown };
    if (typeof said.code !== 'string' || !(said.code in errorCodes)) return null;
    const traceId = traceIdOf(answer);
    const detail = String(said.detail ?? said.title ?? said.code);
    return new ProblemError({
      code: said.code,
      status: answer.status,
      detail,
      ...(traceId ? { traceId } : {}),
    });
  } catch {
    return null;
  }
}

function traceIdOf(answer: Response): string | null {
  return answer.headers.get('traceparent')?.split('-')[1] ?? null;
}

/** What -d names; without it stdin, when a file or a pipe of a shell is there. */
async function readBody(data: string | undefined, surroundings: Surroundings): Promise<Buffer | undefined> {
  if (data !== undefined) return readData(data, surroundings);
  const { stdin } = surroundings;
  return endsByItself(stdin.fd) ? buffer(stdin) : undefined;
}

/** Any other kind of stdin (a socket, a terminal) may never end, so it is read only when asked for. */
function endsByItself(fd: number | undefined): boolean {
  if (fd === undefined) return false;
  try {
    const about = fstatSync(fd);
    return about.isFIFO() || about.isFile();
  } catch {
    return false;
  }
}

function readHeader(text: string): [string, string] {
  const [, name, value] = /^([^\s:]+):\s*(.*)$/.exec(text) ?? [];
  if (!name || value === undefined)
    throw new UsageError(`"${text}" is not a header; write -H 'Name: value'.`);
  return [name, value];
}
