import { Controller } from '@nestjs/common';

import {
  ListMachineSamples,
  machineSampleSchema,
  statsSubject,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import { AnswerQuery, Feeds } from '#messaging';

/** Samples outlive their machine: they are asked for by its id alone. */
@Controller()
export class ListMachineSamplesQuery {
  constructor(private readonly feeds: Feeds) {}

  @AnswerQuery(ListMachineSamples)
  async answer({
    machineId,
    since,
    limit,
  }: RequestOf<typeof ListMachineSamples>): Promise<ResponseOf<typeof ListMachineSamples>> {
    const kept = await this.feeds.read(statsSubject('*', '*', machineId), machineSampleSchema, {
      since: since === undefined ? undefined : new Date(since),
    });
    return { items: kept.slice(-limit).map(({ value }) => value) };
  }
}
