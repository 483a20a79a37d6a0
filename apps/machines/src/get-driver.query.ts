import { Controller, Inject } from '@nestjs/common';

import { GetDriver, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { CHOSEN_DRIVER, type ChosenDriver } from './chosen-driver.ts';

@Controller()
export class GetDriverQuery {
  constructor(@Inject(CHOSEN_DRIVER) private readonly chosen: ChosenDriver) {}

  @AnswerQuery(GetDriver)
  answer(): Promise<ResponseOf<typeof GetDriver>> {
    const { driver, reason } = this.chosen;
    return Promise.resolve({ driver: driver.name, reason, warning: driver.warning });
  }
}
