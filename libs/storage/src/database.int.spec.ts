import { randomUUID } from 'node:crypto';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { MachineExited } from '#contracts';
import { startTestServers, type TestServers } from '#testing';

import { openDatabase, type Database } from './database.ts';
import type { Transaction } from './transaction.ts';

let servers: TestServers;
let database: Database;

beforeAll(async () => {
  servers = await startTestServers();
  database = await openDatabase({ url: await servers.databaseUrl('machines'), entities: [], migrations: [] });
  await database.dataSource.query('CREATE TABLE effect (id text PRIMARY KEY)');
});
afterAll(async () => {
  await database.close();
  await servers.stop();
});
beforeEach(async () => {
  await database.dataSource.query('TRUNCATE effect, outbox, inbox');
});

const exited = {
  machineId: 'm',
  project: 'default',
  function: 'f',
  exitCode: 0,
  reason: 'test',
  lastLines: [],
};
const addEffect = (tx: Transaction, id: string): Promise<unknown> =>
  tx.manager.query('INSERT INTO effect VALUES ($1)', [id]);
const count = async (table: string): Promise<number> => {
  const rows: { n: number }[] = await database.dataSource.query(`SELECT count(*)::int AS n FROM ${table}`);
  return rows[0]?.n ?? -1;
};

describe('a transaction', () => {
  it('commits rows and messages together', async () => {
    await database.transaction(async (tx) => {
      await addEffect(tx, 'a');
      await tx.emit(MachineExited, 'm', exited);
    });
    expect([await count('effect'), await count('outbox')]).toEqual([1, 1]);
  });

  it('commits nothing when the messages are refused, though the commit was sent right behind them', async () => {
    await expect(
      database.transaction(async (tx) => {
        await addEffect(tx, 'a');
        // PostgreSQL keeps no NUL in text.
        await tx.emit(MachineExited, 'id\u0000', exited);
      }),
    ).rejects.toThrow(/invalid byte sequence/);
    expect([await count('effect'), await count('outbox')]).toEqual([0, 0]);
  });

  it('commits nothing when the work fails, and the connection serves the next one', async () => {
    for (let turn = 0; turn < 20; turn++) {
      await expect(
        database.transaction(async (tx) => {
          await addEffect(tx, 'a');
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
    }
    expect(await count('effect')).toBe(0);
    await database.transaction((tx) => addEffect(tx, 'a'));
    expect(await count('effect')).toBe(1);
  });
});

describe('a settled message', () => {
  it('is written once, however often and however concurrently it comes', async () => {
    const messageId = randomUUID();
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, turn) =>
        database.settle({ handler: 'h', messageId }, async (tx) => {
          await addEffect(tx, `e${turn}`);
          await tx.emit(MachineExited, 'm', exited);
        }),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect([await count('effect'), await count('outbox')]).toEqual([1, 1]);
  });

  it('that comes again is told from one whose write fails', async () => {
    const settlement = { handler: 'h', messageId: randomUUID() };
    const write = (tx: Transaction): Promise<void> => addEffect(tx, 'same').then(() => undefined);
    expect(await database.settle(settlement, write)).toBe(true);
    // The second write would break the primary key; that it came before decides.
    expect(await database.settle(settlement, write)).toBe(false);
    await expect(database.settle({ handler: 'h', messageId: randomUUID() }, write)).rejects.toThrow(
      /duplicate key/,
    );
  });

  it('keeps the command it undoes from ever being written, before it or while it is under way', async () => {
    const late = randomUUID();
    await database.settle({ handler: '', messageId: randomUUID(), undoes: late }, async () => undefined);
    expect(
      await database.settle({ handler: '', messageId: late }, (tx) =>
        addEffect(tx, 'late').then(() => undefined),
      ),
    ).toBe(false);

    const racing = randomUUID();
    const doing = database.settle({ handler: '', messageId: racing }, async (tx) => {
      await addEffect(tx, 'racing');
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const undoing = database.settle({ handler: '', messageId: randomUUID(), undoes: racing }, async (tx) => {
      await tx.manager.query(`DELETE FROM effect WHERE id = 'racing'`);
    });
    expect([await doing, await undoing]).toEqual([true, true]);
    // The undo waited for the do, so it saw its effect and took it away.
    expect(await count('effect')).toBe(0);
  });
});
