import { harmless, paint, type LogLine, type Style } from '#client';

import type { Session } from './session.ts';

export interface LogsOptions {
  follow?: boolean;
  since?: string;
  tail?: number;
  machine?: string;
}

/** A function's lines: what is kept, and with --follow what comes. */
export async function logs(session: Session, name: string, options: LogsOptions): Promise<number> {
  const { signal } = session.surroundings;
  try {
    for await (const line of session.client.logs(name, { ...options, signal })) {
      // A line a line, also with --json: what follows has no end that an array could close on.
      session.print(session.json ? JSON.stringify(line) : renderLogLine(line, session.style));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return 0;
}

export function renderLogLine(line: LogLine, style: Style): string {
  const time = line.timestamp.replace(/^.*T/, '').replace(/(\.\d{3})?\d*Z$/, '$1');
  const head = paint(`${time} ${line.machine}`, 'dim', style);
  const text = harmless(line.text);
  if (line.stream === 'stderr') return `${head} ${paint(text, 'yellow', style)}`;
  return `${head} ${line.stream === 'build' ? paint(text, 'dim', style) : text}`;
}
