import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';

import {
  kebab,
  type CommandType,
  type EventType,
  type Failure,
  type PayloadOf,
  type QueryType,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import type { Transaction } from '#storage';

/** What a handler wants written; it commits together with the note that the message was dealt with. */
export type Write = (tx: Transaction) => Promise<void>;

/** How a command ended well: its done event, and what to write with it. */
export interface Outcome<C extends CommandType> {
  done: PayloadOf<C['done']>;
  write?: Write;
}

/** What a handler is told besides the message itself. */
export interface MessageContext {
  readonly id: string;
  /** 1 for the first delivery. */
  readonly attempt: number;
  /** Set when the message is part of a saga: the run it belongs to. */
  readonly correlation: string | undefined;
  /** Aborted when the room stops; what the handler throws then is tried again later. */
  readonly signal: AbortSignal;
}

/** The end of a command, as the one who ordered it hears of it. */
export interface CommandEnd {
  /** The id of the command. */
  commandId: string;
  command: CommandType;
  result: { ok: true; payload: unknown } | { ok: false; failure: Failure };
}

export type HandlerTag =
  | { kind: 'command'; durable: string; command: CommandType; concurrency?: number | undefined }
  | { kind: 'event'; durable: string; event: EventType }
  | { kind: 'ends'; durable: string; commands: CommandType[] }
  | { kind: 'query'; query: QueryType };

type Method<M> = <T extends M>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/** Marks the method that carries out a command. Its effects come first and may run twice; what it returns is written once. */
export function HandleCommand<C extends CommandType>(
  command: C,
  options: {
    /** Of these commands at a time; the transport's own number when left out. */ concurrency?: number;
  } = {},
): Method<(command: PayloadOf<C>, context: MessageContext) => Promise<Outcome<C>>> {
  return mark({ kind: 'command', durable: kebab(command.name), command, ...options });
}

/** Marks the method that reacts to an event; `durable` is the name of its file. */
export function ListenTo<E extends EventType>(
  event: E,
  durable: string,
): Method<(event: PayloadOf<E>, context: MessageContext) => Promise<Write | void>> {
  return mark({ kind: 'event', durable, event });
}

/** Marks the method that hears how commands of other rooms ended; `durable` is the name of its file. */
export function ListenToEnds(
  commands: CommandType[],
  durable: string,
): Method<(end: CommandEnd, context: MessageContext) => Promise<Write | void>> {
  return mark({ kind: 'ends', durable, commands });
}

/** Marks the method that answers a query. */
export function AnswerQuery<Q extends QueryType>(
  query: Q,
): Method<(request: RequestOf<Q>) => Promise<ResponseOf<Q>>> {
  return mark({ kind: 'query', query });
}

/** Nest routes by a pattern; ours is the handler's kind and name, and the tag rides along for the transport. */
function mark<M>(tag: HandlerTag): Method<M> {
  const name = tag.kind === 'query' ? tag.query.name : tag.durable;
  return (target, key, descriptor) => {
    Payload()(target, key, 0);
    Ctx()(target, key, 1);
    MessagePattern(`${tag.kind}:${name}`, { tag })(target, key, descriptor as PropertyDescriptor);
  };
}
