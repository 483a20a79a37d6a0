import type { z } from 'zod';

import type { ErrorCode } from '#contracts';

/** One call of the control plane: what it takes, what it answers. Routes, checks, /openapi.json and the client all come from it. */
export interface Operation<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Fastify's form, `:name` for a parameter. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  /** Answered without a key. */
  readonly open?: true;
  readonly params: P;
  readonly query: Q;
  /** A JSON body. */
  readonly body?: B;
  /** The parts of a multipart body. */
  readonly parts?: Readonly<Record<string, { required: boolean; description: string; binary: boolean }>>;
  readonly status: number;
  /** Content types of a good answer; a schema for JSON, null for text. */
  readonly answers: Readonly<Record<string, z.ZodType | null>>;
  readonly errors: readonly ErrorCode[];
}

export interface InputOf<O extends Operation> {
  params: z.output<O['params']>;
  query: z.output<O['query']>;
  body: z.output<NonNullable<O['body']>>;
}

export function operation<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  described: Operation<P, Q, B>,
): Operation<P, Q, B> {
  return described;
}
