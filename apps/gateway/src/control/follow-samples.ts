import { GetMachine, ListMachineSamples, machineSampleSchema, statsSubject, CestxError } from '#contracts';
import type { MachineSample } from '#contracts';
import type { Messenger } from '#messaging';

/** Samples kept for a reader that is too slow; older ones are dropped. */
const maxWaiting = 1000;

/**
 * The kept samples, then each new one; null when none came for a while, as for a machine that rests. Ends when the machine is
 * gone.
 */
export async function* followSamples(
  messenger: Pick<Messenger, 'ask' | 'listen'>,
  asked: { machineId: string; since?: string | undefined; limit: number },
  signal: AbortSignal,
  /** Milliseconds of silence after which it is looked whether the machine is still there. */
  { lookMs }: { lookMs: number } = { lookMs: 10_000 },
): AsyncGenerator<MachineSample | null> {
  const heard: MachineSample[] = [];
  let wake = (): void => undefined;
  const stop = messenger.listen(statsSubject('*', '*', asked.machineId), machineSampleSchema, (sample) => {
    heard.push(sample);
    if (heard.length > maxWaiting) heard.shift();
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  try {
    const { items } = await messenger.ask(ListMachineSamples, asked);
    // What was heard while the kept ones were read may be among them. Not by which is later: the clock may be set.
    const kept = new Set(items.map(({ at }) => at));
    yield* items;
    while (!signal.aborted) {
      const next = heard.shift();
      if (next) {
        if (!kept.delete(next.at)) yield next;
        continue;
      }
      const silent = await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(true), lookMs);
        wake = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (!silent) continue;
      if (!(await isThere(messenger, asked.machineId))) return;
      yield null;
    }
  } finally {
    stop();
    signal.removeEventListener('abort', onAbort);
  }
}

/** A room that starts again says nothing about the machine. */
async function isThere(messenger: Pick<Messenger, 'ask'>, machineId: string): Promise<boolean> {
  try {
    await messenger.ask(GetMachine, { machineId });
    return true;
  } catch (error) {
    return !(error instanceof CestxError && error.code === 'not-found');
  }
}
