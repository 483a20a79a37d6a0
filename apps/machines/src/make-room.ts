import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Admission } from './admission.ts';
import { MachineBook } from './machine-book.ts';
import { MachineRest } from './machine-rest.ts';
import { MachineRunner } from './machine-runner.ts';

/** Stops frozen machines when others need their room. One that somebody is at is left alone: it may be on its way up. */
@Injectable()
export class MakeRoom implements OnModuleInit {
  constructor(
    private readonly admission: Admission,
    private readonly book: MachineBook,
    private readonly runner: MachineRunner,
    private readonly rest: MachineRest,
  ) {}

  onModuleInit(): void {
    this.admission.makeRoomWith(async (id) => {
      if (this.book.get(id)?.state !== 'frozen' || this.runner.isBusy(id)) return false;
      return (
        (await this.rest.rest(id, 'stopped', 'It made room for another machine.', {
          from: 'frozen',
          patienceMs: 0,
        })) === 'rests'
      );
    });
  }
}
