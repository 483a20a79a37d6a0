import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

import { type RunAs, throwIfSetprivIsMissing } from './run-as.ts';
import type { RunningServer, ServerExit } from './running-server.ts';
import { ServerError } from './server-error.ts';

const largestLog = 10 * 1024 * 1024;

export interface ChildSpec {
  name: string;
  command: string;
  args: string[];
  runAs: RunAs;
  logFile: string;
  /** What the kernel sends the child when we die, however we die. */
  deathSignal: 'KILL' | 'QUIT';
  env?: Record<string, string>;
  cwd?: string;
}

export interface ChildServer {
  readonly pid: number;
  readonly exited: Promise<ServerExit>;
  readonly running: boolean;
  kill(signal: NodeJS.Signals): void;
  /** Sends each signal in turn, waiting its time, then SIGKILL. */
  stop(politely: { signal: NodeJS.Signals; waitMs: number }[]): Promise<void>;
  /** What this run of the child wrote, for the sentence about a failed start. */
  lastLines(): Promise<string>;
}

/**
 * Starts a server as a child that cannot outlive us: setpriv asks the kernel for the death signal, which also holds when
 * we are SIGKILLed. The signal follows the *thread* that spawned, so servers are started from the main thread only.
 * The child gets a session of its own, or Ctrl-C in the terminal would stop it before the rooms have drained.
 */
export async function spawnChildServer(spec: ChildSpec): Promise<ChildServer> {
  const logStart = await rotate(spec.logFile);
  const log = await open(spec.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(
      'setpriv',
      [...spec.runAs.setprivOptions, `--pdeathsig=${spec.deathSignal}`, '--', spec.command, ...spec.args],
      {
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', ...spec.env },
        cwd: spec.cwd,
      },
    );
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  } catch (error) {
    throwIfSetprivIsMissing(error);
    throw error;
  } finally {
    await log.close();
  }
  const { pid } = child;
  if (pid === undefined) throw new ServerError(`${spec.name} could not be started`);
  let exit: ServerExit | undefined;
  const exited = new Promise<ServerExit>((resolve) =>
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    }),
  );
  return {
    pid,
    exited,
    get running() {
      return exit === undefined;
    },
    kill: (signal) => void child.kill(signal),
    async stop(politely) {
      for (const { signal, waitMs } of politely) {
        if (exit) return;
        child.kill(signal);
        await waitAtMost(waitMs, exited);
      }
      if (!exit) child.kill('SIGKILL');
      await exited;
    },
    async lastLines() {
      const bytes = await readFile(spec.logFile).catch(() => Buffer.alloc(0));
      return bytes.subarray(logStart).toString().trimEnd().split('\n').slice(-15).join('\n');
    },
  };
}

/** Polls until the server answers; ends early, with its last words, when it exits instead. */
export async function waitUntilReady(
  child: ChildServer,
  name: string,
  timeoutMs: number,
  answers: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (!child.running) {
      const { code, signal } = await child.exited;
      const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      throw new ServerError(`${name} ${how} while starting: ${await child.lastLines()}`);
    }
    if (await answers()) return;
    if (Date.now() > deadline) {
      await child.stop([]);
      throw new ServerError(
        `${name} did not answer within ${timeoutMs / 1000} s: ${await child.lastLines()}`,
      );
    }
    await delay(20);
  }
}

export function asRunningServer(
  child: ChildServer,
  address: { url: string; host: string; port: number },
  politely: { signal: NodeJS.Signals; waitMs: number }[],
): RunningServer {
  return {
    ...address,
    pid: child.pid,
    exited: child.exited,
    kill: (signal) => child.kill(signal),
    stop: () => child.stop(politely),
  };
}

async function rotate(logFile: string): Promise<number> {
  const size = await stat(logFile).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size < largestLog) return size;
  await rename(logFile, `${logFile}.1`);
  return 0;
}

/** Resolves with the promise or after the time, whichever is first, and leaves no timer behind that would keep us up. */
export async function waitAtMost(ms: number, promise: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  await Promise.race([promise, delay(ms, undefined, { signal: stop.signal }).catch(() => undefined)]);
  stop.abort();
}
