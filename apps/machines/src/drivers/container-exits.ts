import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import type Docker from 'dockerode';

import { labels } from './container-options.ts';

/** What the engine's stream of events tells of the machines of a house. */
export interface ExitWatcher {
  /** A machine's container has ended. */
  ended(id: string): void;
  /** The stream is there (again); what ended before was not told. */
  connected(): Promise<void>;
  /** The stream broke: the engine was stopped, or killed. */
  lost(): Promise<void>;
}

/** Pause between two tries to reach an engine that is away, milliseconds. */
const retryPause = 500;

/** Watches until `signal` aborts, over every restart of the engine. */
export async function watchExits(
  docker: Docker,
  house: string,
  watcher: ExitWatcher,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const stream = (await docker.getEvents({
        filters: { type: ['container'], event: ['die'], label: [`${labels.house}=${house}`] },
        abortSignal: signal,
      })) as Readable;
      // Only now, so that nothing ends unseen between the look and the stream; a look that fails is made again.
      watcher.connected().catch(() => stream.destroy());
      let rest = '';
      for await (const chunk of stream) {
        const parts = (rest + String(chunk)).split('\n');
        rest = parts.pop() ?? '';
        for (const part of parts) {
          const id = machineOf(part);
          if (id) watcher.ended(id);
        }
      }
    } catch {
      // The engine is away; whoever needs it next says so.
    }
    if (signal.aborted) return;
    await watcher.lost().catch(() => undefined);
    await delay(retryPause, null, { signal }).catch(() => undefined);
  }
}

function machineOf(json: string): string | undefined {
  const event = JSON.parse(json) as { Actor?: { Attributes?: Record<string, string> } };
  return event.Actor?.Attributes?.[labels.machine];
}
