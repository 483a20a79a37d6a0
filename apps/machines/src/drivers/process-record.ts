import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { MachineExit, MachineSpec, SeenMachine } from '../machine.driver.ts';
import { logFile } from './process-log.ts';

/** What is kept on disk of a machine, so that a room that was killed can tell what is gone. */
export interface ProcessRecord {
  readonly spec: MachineSpec;
  readonly state: SeenMachine['state'];
  readonly pid: number | null;
  readonly startTime: string | null;
  readonly port: number | null;
  readonly exit: MachineExit | null;
}

export async function readRecord(folder: string): Promise<ProcessRecord | null> {
  const text = await readFile(join(folder, 'machine.json'), 'utf8').catch(() => null);
  return text === null ? null : (JSON.parse(text) as ProcessRecord);
}

export async function writeRecord(folder: string, record: ProcessRecord): Promise<void> {
  const file = join(folder, 'machine.json');
  // Two may be written at once, by a start and by the exit that overtakes it; each has its own way in.
  const fresh = `${file}.${record.state}`;
  await writeFile(fresh, JSON.stringify(record), { mode: 0o600 });
  await rename(fresh, file);
}

export function seen({ spec, state, port, exit }: ProcessRecord): SeenMachine {
  const up = state === 'running' || state === 'frozen';
  return { id: spec.id, state, address: up ? `127.0.0.1:${port}` : null, exit: up ? null : exit };
}

/** The last 4 KiB a machine wrote to stderr, read or not. */
export async function endOfErrors(folder: string): Promise<string> {
  const file = await open(logFile(folder, 'stderr')).catch(() => null);
  if (!file) return '';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, Math.max(0, size - 4096));
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
