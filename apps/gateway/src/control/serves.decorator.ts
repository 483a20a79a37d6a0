import {
  applyDecorators,
  createParamDecorator,
  HttpCode,
  RequestMapping,
  RequestMethod,
  SetMetadata,
  type ExecutionContext,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { z } from 'zod';

import { CestxError } from '#contracts';

import type { InputOf, Operation } from './operation.ts';

export const OPERATION = 'cestx:operation';

/** The method that answers an operation. */
export function Serves(served: Operation): MethodDecorator {
  return applyDecorators(
    RequestMapping({ path: served.path, method: RequestMethod[served.method] }),
    HttpCode(served.status),
    SetMetadata(OPERATION, served),
  );
}

/** The checked parameters, query and JSON body of an operation. */
export const Input = createParamDecorator((asked: Operation, context: ExecutionContext) =>
  readInput(asked, context.switchToHttp().getRequest<FastifyRequest>()),
);

export function readInput<O extends Operation>(
  asked: O,
  request: Pick<FastifyRequest, 'params' | 'query' | 'headers' | 'body'>,
): InputOf<O> {
  const project = request.headers['x-cestx-project'];
  const query = { ...(project === undefined ? {} : { project }), ...(request.query as object) };
  return {
    params: check(asked.params, request.params ?? {}, 'path'),
    query: check(asked.query, query, 'query'),
    body: asked.body ? check(asked.body, request.body, 'body') : undefined,
  } as InputOf<O>;
}

function check<S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const wrong = result.error.issues.map((issue) => `${issue.path.join('.') || where}: ${issue.message}`);
  throw new CestxError('bad-request', `${wrong.join('; ')}.`);
}
