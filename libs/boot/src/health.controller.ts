import { Controller, type Type } from '@nestjs/common';

import { getHealth, type Health, type Room } from '#contracts';
import { AnswerQuery, Messenger } from '#messaging';
import { Database } from '#storage';

/** Milliseconds a database may take to answer before it counts as away. */
const patience = 2000;

/** The room's own answer to "can you work?", asked over NATS by the gateway. */
export function healthControllerOf(room: Room): Type {
  @Controller()
  class HealthController {
    readonly #database: Database;
    readonly #messenger: Messenger;

    constructor(database: Database, messenger: Messenger) {
      this.#database = database;
      this.#messenger = messenger;
    }

    @AnswerQuery(getHealth(room))
    async answer(): Promise<Health> {
      return checkHealth(room, this.#database, this.#messenger);
    }
  }
  return HealthController;
}

export async function checkHealth(room: Room, database: Database, messenger: Messenger): Promise<Health> {
  const postgres = await Promise.race([
    database.check().then(
      () => ({ name: 'postgresql', ok: true }),
      () => ({ name: 'postgresql', ok: false, detail: 'does not answer' }),
    ),
    new Promise<{ name: string; ok: boolean; detail: string }>((resolve) =>
      setTimeout(
        () => resolve({ name: 'postgresql', ok: false, detail: `no answer in ${patience} ms` }),
        patience,
      ).unref(),
    ),
  ]);
  const nats = { name: 'nats', ok: messenger.connected };
  return { room, ready: postgres.ok && nats.ok, checks: [nats, postgres] };
}
