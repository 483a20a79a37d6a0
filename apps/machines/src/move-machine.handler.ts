import { Controller } from '@nestjs/common';

import { CestxError, MoveMachine, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { FunctionWaker } from './function-waker.ts';
import { MachineBook } from './machine-book.ts';
import { MachineRest } from './machine-rest.ts';
import type { MachineRow } from './machine.entity.ts';
import { RouteTable } from './route-table.ts';

/** What a call may take in a function whose route is not known, in milliseconds. */
const callTimeoutMs = 30_000;

/** A machine that is called while it goes to rest stays up, and `done` says so. */
@Controller()
export class MoveMachineHandler {
  constructor(
    private readonly book: MachineBook,
    private readonly routes: RouteTable,
    private readonly waker: FunctionWaker,
    private readonly rest: MachineRest,
  ) {}

  @HandleCommand(MoveMachine)
  async handle({ machineId, to }: PayloadOf<typeof MoveMachine>): Promise<Outcome<typeof MoveMachine>> {
    const row = this.#require(machineId);
    if (to === 'running') await this.#wake(row);
    else await this.#rest(row, to);
    return { done: { machineId, state: this.#require(machineId).state } };
  }

  async #wake({ id, state }: MachineRow): Promise<void> {
    if (state === 'running') return;
    if (state === 'frozen') await this.waker.thaw(id);
    else await this.waker.start(id);
  }

  async #rest(row: MachineRow, to: 'frozen' | 'stopped'): Promise<void> {
    const patience = this.routes.timeoutOf(row) ?? callTimeoutMs;
    const rested = await this.rest.rest(row.id, to, 'It was asked to rest.', {
      from: row.state,
      patienceMs: patience,
    });
    if (rested === 'not-there') {
      const { state } = this.#require(row.id);
      throw new CestxError('conflict', `The machine ${row.id} is ${state} and cannot become ${to}.`);
    }
  }

  #require(id: string): MachineRow {
    const row = this.book.get(id);
    if (!row || this.book.isLeaving(id)) throw new CestxError('not-found', `There is no machine ${id}.`);
    return row;
  }
}
