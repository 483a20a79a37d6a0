import { Controller } from '@nestjs/common';

import { WakeFunction, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { FunctionWaker } from './function-waker.ts';

@Controller()
export class WakeFunctionQuery {
  constructor(private readonly waker: FunctionWaker) {}

  @AnswerQuery(WakeFunction)
  async answer(revision: RequestOf<typeof WakeFunction>): Promise<ResponseOf<typeof WakeFunction>> {
    const began = performance.now();
    const woken = await this.waker.wake(revision);
    return { ...woken, ms: performance.now() - began };
  }
}
