import {
  harmless,
  paint,
  ProblemError,
  renderBytes,
  renderFacts,
  renderTable,
  type DeadLetter,
  type DeadLetterQuery,
} from '#client';

import { UsageError } from './explain-error.ts';
import { isPlainText } from './read-data.ts';
import type { Session } from './session.ts';

export interface ManyOptions extends DeadLetterQuery {
  all?: boolean;
}

/** The newest ones, at most `limit`. */
export async function listDeadLetters(
  session: Session,
  { limit, ...filter }: DeadLetterQuery & { limit: number },
): Promise<number> {
  const { items, nextCursor } = await session.client.listDeadLetters({ ...filter, limit });
  if (session.json) session.printJson({ items, nextCursor });
  else if (items.length === 0) session.print('There is no such dead letter.');
  else {
    const columns = [
      { title: 'dead letter', value: (item: DeadLetter) => item.id },
      { title: 'function', value: (item: DeadLetter) => item.function },
      { title: 'type', value: (item: DeadLetter) => item.eventType || '-' },
      { title: 'reason', value: (item: DeadLetter) => item.reason },
      { title: 'tries', value: (item: DeadLetter) => String(item.attempts), align: 'right' as const },
      {
        title: 'status',
        value: (item: DeadLetter) => String(item.lastStatus ?? '-'),
        align: 'right' as const,
      },
      { title: 'died', value: (item: DeadLetter) => item.diedAt.replace(/\.\d+Z$/, 'Z') },
    ];
    session.print(renderTable(columns, items, session.style));
    if (nextCursor !== null)
      session.tell('There are more; --limit shows up to 500, --function and --reason fewer.');
  }
  return 0;
}

/** One of them: why it died, and the event as it came. */
export async function showDeadLetter(session: Session, id: string): Promise<number> {
  const letter = await find(session, id);
  if (session.json) {
    session.printJson(letter);
    return 0;
  }
  const { style } = session;
  const entries = Object.entries(letter.headers);
  const isAttribute = ([name]: [string, string]): boolean => /^ce-/i.test(name);
  const attributes = entries
    .filter(isAttribute)
    .map(([name, value]) => [name.slice(3).toLowerCase(), decoded(value)] as const);
  const headers = entries.filter((entry) => !isAttribute(entry));
  const data = Buffer.from(letter.dataBase64, 'base64');
  const part = (title: string, text: string): void => {
    if (text !== '') session.print(`\n${paint(title, 'bold', style)}\n${text}`);
  };
  session.print(
    renderFacts(
      [
        ['dead letter', letter.id],
        ['function', letter.function],
        ['trigger', letter.trigger],
        ['reason', letter.reason],
        ['message', letter.message],
        ['tries', String(letter.attempts)],
        ['last status', letter.lastStatus === null ? null : String(letter.lastStatus)],
        ['subject', letter.subject],
        ['stream', `${letter.stream}, message ${letter.sequence}`],
        ['received', letter.receivedAt],
        ['died', letter.diedAt],
        ['trace', letter.traceId && `cestx trace ${letter.traceId}`],
      ],
      style,
    ),
  );
  part('attributes', renderFacts(attributes, style));
  part('headers', renderFacts(headers, style));
  part('body', bodyOf(data));
  part('last answer', harmless(letter.lastBody ?? ''));
  session.tell(`\n\`cestx dead-letters redrive --id ${letter.id}\` hands it over again.`);
  return 0;
}

/** Hands them over again; the answer comes once the order is stored. */
export async function redriveDeadLetters(
  session: Session,
  { rate, ...options }: ManyOptions & { rate?: number },
): Promise<number> {
  const filter = filterOf(options, 'redrive');
  // The order itself is taken for one that is not there too.
  if (filter.id !== undefined) await find(session, filter.id);
  const done = await session.client.redriveDeadLetters({ ...filter, perSecond: rate });
  if (session.json) session.printJson(done);
  else
    session.print(
      'They are handed over again, each with all its tries anew; `cestx dead-letters list` shows those that are left.',
    );
  return 0;
}

/** Deletes them for good. */
export async function purgeDeadLetters(session: Session, options: ManyOptions): Promise<number> {
  const done = await session.client.purgeDeadLetters(filterOf(options, 'purge'));
  if (session.json) session.printJson(done);
  else session.print(`Deleted ${done.purged} dead ${done.purged === 1 ? 'letter' : 'letters'}.`);
  return 0;
}

/** So that nobody reaches all of them by leaving something out. */
function filterOf({ all, id, function: name, reason }: ManyOptions, verb: string): DeadLetterQuery {
  const filter = { id, function: name, reason };
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if (isFiltered === (all === true)) {
    const which = 'Say which: --id, --function or --reason, or --all without them';
    throw new UsageError(`${which}; \`cestx help dead-letters ${verb}\` shows them.`);
  }
  return filter;
}

async function find({ client }: Session, id: string): ReturnType<typeof client.getDeadLetter> {
  try {
    return await client.getDeadLetter(id);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'not-found') throw error;
    const { code, status, message: detail } = error;
    const help = 'It may have been redriven or purged; `cestx dead-letters list` shows what there is.';
    throw new ProblemError({ code, status, detail, help }, { cause: error });
  }
}

function bodyOf(data: Buffer): string {
  if (data.length === 0) return 'none';
  if (isPlainText(data)) return harmless(data.toString('utf8')).trimEnd();
  const size = data.length < 1024 ? `${data.length} bytes` : renderBytes(data.length);
  return `${size} that are not text; --json has them in base64.`;
}

/** What cannot stand in a header is percent-encoded there (CloudEvents NATS binding 1.0). */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
