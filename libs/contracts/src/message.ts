import type { z } from 'zod';

/** The rooms of the house. A room's name is also its database, its role and a token of its subjects. */
export const rooms = [
  'gateway',
  'deployments',
  'templates',
  'machines',
  'routes',
  'logs',
  'scaler',
  'triggers',
] as const;
export type Room = (typeof rooms)[number];

/** Something that has happened; the room is the one that says so. */
export interface EventType<S extends z.ZodType = z.ZodType> {
  readonly kind: 'event';
  readonly room: Room;
  readonly name: string;
  readonly version: number;
  readonly schema: S;
}

/** Something to be done; the room is the one that does it. It ends in exactly one of its two events. */
export interface CommandType<S extends z.ZodType = z.ZodType, D extends EventType = EventType> {
  readonly kind: 'command';
  readonly room: Room;
  readonly name: string;
  readonly version: number;
  readonly schema: S;
  readonly done: D;
  readonly failed: EventType<typeof import('./errors.ts').failureSchema>;
}

/** A question with an answer and no lasting effect. */
export interface QueryType<Q extends z.ZodType = z.ZodType, A extends z.ZodType = z.ZodType> {
  readonly kind: 'query';
  readonly room: Room;
  readonly name: string;
  readonly request: Q;
  readonly response: A;
}

export type MessageType = EventType | CommandType | QueryType;
export type PayloadOf<M extends { schema: z.ZodType }> = z.output<M['schema']>;
export type RequestOf<Q extends QueryType> = z.output<Q['request']>;
export type ResponseOf<Q extends QueryType> = z.output<Q['response']>;

export function event<S extends z.ZodType>(room: Room, name: string, schema: S): EventType<S> {
  return { kind: 'event', room, name, version: 1, schema };
}

export function command<S extends z.ZodType, D extends EventType>(
  room: Room,
  name: string,
  schema: S,
  outcome: { done: D; failed: CommandType['failed'] },
): CommandType<S, D> {
  return { kind: 'command', room, name, version: 1, schema, ...outcome };
}

export function query<Q extends z.ZodType, A extends z.ZodType>(
  room: Room,
  name: string,
  request: Q,
  response: A,
): QueryType<Q, A> {
  return { kind: 'query', room, name, request, response };
}

/** `StartMachine` → `start-machine`: how a name is written in subjects, durables and file names. */
export function kebab(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase();
}

/** The subject of a message; `id` (one token) says whom it is about, `*` matches all. */
export function subjectOf(type: MessageType, id = '*'): string {
  const base = `cestx.${type.kind}.${type.room}.${kebab(type.name)}`;
  return type.kind === 'query' ? base : `${base}.${id}`;
}

/** The subject a machine's or a build's lines travel on; `source` is a machine id or `build-<id>`. */
export function logSubject(project: string, functionName: string, source = '*'): string {
  return `cestx.feed.logs.${project}.${functionName}.${source}`;
}

/** The subject samples of a machine's use travel on. */
export function statsSubject(project: string, functionName: string, machine = '*'): string {
  return `cestx.feed.stats.${project}.${functionName}.${machine}`;
}

/** The subject finished spans of one trace travel on. */
export function traceSubject(traceId: string): string {
  return `cestx.feed.traces.${traceId}`;
}
