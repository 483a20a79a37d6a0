import { randomUUID } from 'node:crypto';

import { CestxError, type CommandType, type PayloadOf } from '#contracts';
import type { Messenger } from '#messaging';

/**
 * Orders something that takes seconds and resolves when it is done. Throws what it failed with; `timed-out` when it did
 * neither in time, in which case it goes on.
 */
export async function carryOut<C extends CommandType>(
  messenger: Pick<Messenger, 'send' | 'subscribe'>,
  command: C,
  payload: PayloadOf<C>,
  timeoutMs: number,
): Promise<PayloadOf<C['done']>> {
  const id = randomUUID();
  const ends: (() => void)[] = [];
  try {
    return await new Promise<PayloadOf<C['done']>>((resolve, reject) => {
      const late = new CestxError('timed-out', 'It is not done yet, and goes on by itself.');
      const timer = setTimeout(() => reject(late), timeoutMs);
      ends.push(
        () => clearTimeout(timer),
        messenger.subscribe(command.done, id, (done) => resolve(done as PayloadOf<C['done']>)),
        messenger.subscribe(command.failed, id, ({ code, message, lastLines }) =>
          reject(new CestxError(code, message, lastLines ? { lastLines } : {})),
        ),
      );
      messenger.send(command, id, payload).catch(reject);
    });
  } finally {
    for (const end of ends) end();
  }
}
