import * as contracts from '#contracts';
import {
  errorCodes,
  getHealth,
  rooms,
  subjectOf,
  type CommandType,
  type EventType,
  type MessageType,
  type QueryType,
} from '#contracts';
import { z } from 'zod';

const notice = 'Generated from `libs/contracts` by `npm run docs`; do not edit.';

/** Every message between rooms, as a page. */
export function describeMessages(): string {
  const all = [...Object.values<unknown>(contracts).filter(isMessage), ...rooms.map(getHealth)];
  const commands = all.filter((message): message is CommandType => message.kind === 'command');
  const events = all.filter((message): message is EventType => message.kind === 'event');
  const queries = all.filter((message): message is QueryType => message.kind === 'query');
  return [
    '# Messages',
    '',
    `${notice} The room in a subject handles the command, emits the event or answers the query.`,
    '',
    '## Commands',
    '',
    'Stream `COMMANDS`, a work queue. Each ends in exactly one of its two events.',
    '',
    ...table(
      ['command', 'subject', 'carries', 'done', 'failed'],
      inOrder(commands).map((message) => [
        `**${message.name}** v${message.version}`,
        code(subjectOf(message, '<id>')),
        fields(message.schema),
        message.done.name,
        message.failed.name,
      ]),
    ),
    '',
    '## Events',
    '',
    'Stream `EVENTS`.',
    '',
    ...table(
      ['event', 'subject', 'carries'],
      inOrder(events).map((message) => [
        `**${message.name}** v${message.version}`,
        code(subjectOf(message, '<id>')),
        fields(message.schema),
      ]),
    ),
    '',
    '## Queries',
    '',
    'Request and reply; each room is a NATS service, so `nats micro ls` lists them.',
    '',
    ...table(
      ['query', 'subject', 'asks with', 'answers'],
      inOrder(queries).map((message) => [
        `**${message.name}**`,
        code(subjectOf(message)),
        fields(message.request),
        fields(message.response),
      ]),
    ),
    '',
  ].join('\n');
}

/** Every error code, as a page. */
export function describeErrors(): string {
  return [
    '# Errors',
    '',
    `${notice} Over HTTP an error is an RFC 9457 problem that carries the code and what to do about it.`,
    '',
    ...table(
      ['code', 'HTTP', 'gRPC', 'what to do'],
      Object.entries(errorCodes).map(([name, { http, grpc, help }]) => [
        code(name),
        String(http),
        grpc,
        help,
      ]),
    ),
    '',
  ].join('\n');
}

function isMessage(value: unknown): value is MessageType {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    ['command', 'event', 'query'].includes(String(value.kind)) &&
    'room' in value
  );
}

function inOrder<M extends MessageType>(messages: M[]): M[] {
  const place = (message: M) => rooms.indexOf(message.room);
  return messages.toSorted((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
}

/** The names of a message's fields; `?` marks what may be left out. */
function fields(schema: z.ZodType): string {
  if (!(schema instanceof z.ZodObject)) return '';
  const names = Object.entries(schema.shape).map(([name, field]) =>
    field instanceof z.ZodOptional || field instanceof z.ZodDefault ? `${name}?` : name,
  );
  return names.map(code).join(' ');
}

function table(titles: string[], rows: string[][]): string[] {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)];
}

function code(text: string): string {
  return `\`${text}\``;
}
