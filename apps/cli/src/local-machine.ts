import { spawn } from 'node:child_process';
import { connect, createServer, type AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import { CestxError } from '#contracts';

export interface LocalProgram {
  argv: readonly string[];
  folder: string;
  environment: Readonly<Record<string, string>>;
  port: number;
  health: { path?: string | undefined; startup: number };
  stdout: Writable;
  stderr: Writable;
}

/** Milliseconds between SIGTERM and SIGKILL. */
const grace = 10_000;

/** A program that runs here as a machine would run on the platform; it and all it started end with us. */
export class LocalMachine {
  /** Resolves with how it ended. */
  readonly ended: Promise<string>;
  readonly #program: LocalProgram;
  readonly #pid: number;

  private constructor(program: LocalProgram, pid: number, ended: Promise<string>) {
    this.#program = program;
    this.#pid = pid;
    this.ended = ended;
  }

  static async start(program: LocalProgram): Promise<LocalMachine> {
    const [command = '', ...args] = program.argv;
    const child = spawn(command, args, {
      cwd: program.folder,
      env: { ...program.environment, PORT: String(program.port) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C on the terminal is ours to pass on.
      detached: true,
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('spawn', () => resolve(child.pid ?? 0));
      child.once('error', reject);
    });
    const kill = () => signalGroup(pid, 'SIGKILL');
    process.once('exit', kill);
    child.stdout.on('data', (piece: Buffer) => program.stdout.write(piece));
    child.stderr.on('data', (piece: Buffer) => program.stderr.write(piece));
    const ended = new Promise<string>((resolve) => {
      child.once('close', (code, signal) => {
        process.off('exit', kill);
        resolve(signal ? `was ended by ${signal}` : `exited with code ${code}`);
      });
      // What it left running would hold its output open.
      child.once('exit', kill);
    });
    return new LocalMachine(program, pid, ended);
  }

  /** Until it can be called; rejects with `start-failed` when it ends before, or takes longer than it may. */
  async ready(signal: AbortSignal): Promise<void> {
    let end: string | null = null;
    void this.ended.then((how) => (end = how));
    const { health, port } = this.#program;
    const deadline = Date.now() + health.startup;
    while (!signal.aborted && !(await answers(port, health.path))) {
      if (end !== null) throw new CestxError('start-failed', `It ${String(end)} before it could be called.`);
      if (Date.now() > deadline) {
        const where =
          health.path === undefined ? 'it did not listen on $PORT' : `${health.path} did not answer 2xx`;
        throw new CestxError('start-failed', `After ${health.startup / 1000} s ${where}.`);
      }
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    signalGroup(this.#pid, 'SIGTERM');
    const patience = new AbortController();
    const late = delay(grace, 'late', { signal: patience.signal }).catch(() => 'over');
    if ((await Promise.race([this.ended, late])) === 'late') signalGroup(this.#pid, 'SIGKILL');
    patience.abort();
    await this.ended;
  }
}

/** A port that nobody has, for now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answers(port: number, path: string | undefined): Promise<boolean> {
  if (path !== undefined) {
    const signal = AbortSignal.timeout(2000);
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal }).catch(() => null);
    await response?.body?.cancel();
    return response?.ok === true;
  }
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone already.
  }
}
