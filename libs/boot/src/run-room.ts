import type { z } from 'zod';

import { CestxError } from '#contracts';

import { processEnvironment } from './house.config.ts';
import type { RoomDefinition } from './room.ts';
import { setRoomOfProcess } from './room-span.processor.ts';
import { startRoom } from './start-room.ts';
import { traceKeeping } from './trace-keeping.ts';

/** Milliseconds a graceful stop may take before the process ends anyway. */
const stopPatience = 30_000;

/** The whole main of a room in a process of its own: starts it, and stops it on SIGTERM or Ctrl-C. */
export async function runRoom<C extends z.ZodObject>(room: RoomDefinition<C>): Promise<void> {
  setRoomOfProcess(room.name);
  try {
    const running = await startRoom(room, processEnvironment);
    stopOnSignal(() => running.stop());
    process.stdout.write(`ready ${running.name}\n`);
  } catch (error) {
    process.stderr.write(`cestx ${room.name}: ${sentenceOf(error)}\n`);
    process.exitCode = 1;
    process.exit();
  }
}

/** Signals that belong to one wish to end: npm sends on the Ctrl-C that the terminal sent us already. */
const sameWish = 1000;

/** Runs `stop` once on the first SIGTERM or SIGINT, then ends the process; a second wish ends it at once. */
export function stopOnSignal(stop: () => Promise<void>): void {
  let askedAt: number | undefined;
  const onSignal = (): void => {
    if (askedAt !== undefined) {
      if (Date.now() - askedAt > sameWish) process.exit(130);
      return;
    }
    askedAt = Date.now();
    const timer = setTimeout(() => process.exit(1), stopPatience);
    void stop()
      .then(() => traceKeeping()?.shutdown())
      .finally(() => {
        clearTimeout(timer);
        process.exit(0);
      });
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** What a person at a terminal is told; never a stack trace. */
export function sentenceOf(error: unknown): string {
  if (error instanceof CestxError) return error.message;
  return error instanceof Error ? error.message : String(error);
}
