import { Controller } from '@nestjs/common';

import { ListMachines, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeMachine } from './describe-machine.ts';
import { MachineAges } from './machine-ages.ts';
import { MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';

/** The oldest first. A cursor is the place of the last one told of, so that none is left out when machines come and go. */
@Controller()
export class ListMachinesQuery {
  constructor(
    private readonly book: MachineBook,
    private readonly ages: MachineAges,
  ) {}

  @AnswerQuery(ListMachines)
  answer(request: RequestOf<typeof ListMachines>): Promise<ResponseOf<typeof ListMachines>> {
    const { project, cursor = '', limit = Infinity } = request;
    const rows = this.book
      .all()
      .filter((row) => project === undefined || row.project === project)
      .filter((row) => request.function === undefined || row.function === request.function)
      .map((row) => ({ row, place: placeOf(row) }))
      .filter(({ place }) => place > cursor)
      .sort((a, b) => (a.place < b.place ? -1 : 1));
    const page = rows.slice(0, limit);
    return Promise.resolve({
      items: page.map(({ row }) => describeMachine(row, this.ages.expiresAt(row))),
      nextCursor: page.length < rows.length ? (page.at(-1)?.place ?? null) : null,
    });
  }
}

function placeOf({ createdAt, id }: MachineRow): string {
  return `${createdAt.toISOString()}_${id}`;
}
