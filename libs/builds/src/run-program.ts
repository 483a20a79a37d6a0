import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';

import { LineSplitter } from './line-splitter.ts';

export interface ProgramOptions {
  cwd: string;
  environment: Record<string, string>;
  log: (line: string) => void;
  signal: AbortSignal;
}

/**
 * Runs a program in a process group of its own and gives its output line by line. Resolves with how it ended; rejects
 * with the signal's reason when it was aborted, once the whole group is dead.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<string | null> {
  options.signal.throwIfAborted();
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const kill = () => killGroup(child.pid);
  options.signal.addEventListener('abort', kill, { once: true });
  try {
    const ended = new Promise<string | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        // What it left running in its group goes with it, and would hold its output open.
        kill();
        resolve(code === 0 ? null : signal ? `it was ended by ${signal}` : `it exited with code ${code}`);
      });
    });
    const [exit] = await Promise.all([
      ended,
      forward(child.stdout, options.log),
      forward(child.stderr, options.log),
    ]);
    options.signal.throwIfAborted();
    return exit;
  } finally {
    options.signal.removeEventListener('abort', kill);
  }
}

async function forward(stream: Readable, log: (line: string) => void): Promise<void> {
  const splitter = new LineSplitter(log);
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => splitter.write(chunk));
  await new Promise<void>((resolve) => stream.once('close', resolve));
  splitter.end();
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}
