import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { CestxError } from '#contracts';

import type { Operation } from './operation.ts';
import { OPERATION } from './serves.decorator.ts';

export const KEY_CHECKER = Symbol('KEY_CHECKER');

/** Lets a control call through with the key; what an operation calls open, without. */
@Injectable()
export class KeyGuard implements CanActivate {
  private readonly isKey: (given: string) => boolean;

  constructor(@Inject(KEY_CHECKER) isKey: (given: string) => boolean) {
    this.isKey = isKey;
  }

  canActivate(context: ExecutionContext): boolean {
    const served = Reflect.getMetadata(OPERATION, context.getHandler()) as Operation | undefined;
    if (served?.open) return true;
    const header = context.switchToHttp().getRequest<FastifyRequest>().headers.authorization ?? '';
    const [, given] = /^Bearer +([^ ]+) *$/i.exec(header) ?? [];
    if (given && this.isKey(given)) return true;
    throw new CestxError('unauthenticated', given ? 'The key is not right.' : 'This call needs a key.');
  }
}
