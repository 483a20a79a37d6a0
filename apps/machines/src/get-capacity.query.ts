import { Controller } from '@nestjs/common';

import { GetCapacity, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { Admission } from './admission.ts';

@Controller()
export class GetCapacityQuery {
  constructor(private readonly admission: Admission) {}

  @AnswerQuery(GetCapacity)
  answer(): Promise<ResponseOf<typeof GetCapacity>> {
    return this.admission.capacity();
  }
}
