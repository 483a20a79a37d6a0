import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

export const root = join(import.meta.dirname, '..', '..');

/** Loaded first, as `npm start` does, or there are no traces. */
const telemetry = pathToFileURL(join(root, 'dist/libs/boot/src/telemetry.js')).href;

export interface PlatformProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves with the signal or code it ended with. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  isRunning(): boolean;
  kill(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/** Runs a built program of ours and waits for its `ready` line; fails with the end of its log when it ends first. */
export async function startPlatformProcess(options: {
  name: string;
  main: string;
  args?: string[];
  environment: Record<string, string>;
  logFile: string;
  /** A process that is to break on purpose may end before it is ready. */
  mayDie?: boolean;
}): Promise<PlatformProcess> {
  const child = spawn(
    'setpriv',
    // A test run that is killed takes its platforms along.
    [
      '--pdeathsig=KILL',
      '--',
      process.execPath,
      '--enable-source-maps',
      '--import',
      telemetry,
      join(root, options.main),
      ...(options.args ?? []),
    ],
    {
      cwd: root,
      env: { ...inherited(), ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const log = createWriteStream(options.logFile, { flags: 'a' });
  child.stderr?.pipe(log);
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  const ready = new Promise<void>((resolve) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      log.write(chunk);
      text += chunk.toString('utf8');
      if (/^ready /m.test(text)) resolve();
    });
  });
  const outcome = await Promise.race([
    ready.then(() => 'ready' as const),
    exited.then(() => 'ended' as const),
    delay(60_000, 'slow' as const, { ref: false }),
  ]);
  if (outcome === 'ready' || (outcome === 'ended' && options.mayDie))
    return asProcess(options.name, child, exited);
  child.kill('SIGKILL');
  const said = await readFile(options.logFile, 'utf8').catch(() => '');
  throw new Error(
    `${options.name} ${outcome === 'ended' ? 'ended' : 'is not ready after 60 s'}:\n${said.slice(-3000)}`,
  );
}

/** The machine's own settings (paths, proxies, certificates), without any of ours but what builds need. */
function inherited(): NodeJS.ProcessEnv {
  const kept = ['CESTX_BUILD_CA_FILE', 'CESTX_IMAGE_NODE'];
  const ours = /^(CESTX_|NATS_|DATABASE_URL|OTEL_|VITEST|NODE_OPTIONS|NODE_ENV|TEST$)/;
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => kept.includes(name) || !ours.test(name)),
  );
}

function asProcess(name: string, child: ChildProcess, exited: PlatformProcess['exited']): PlatformProcess {
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  return {
    name,
    pid: child.pid ?? 0,
    exited,
    isRunning,
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (!isRunning()) return;
      child.kill('SIGTERM');
      const gone = await Promise.race([exited.then(() => true), delay(35_000, false, { ref: false })]);
      if (!gone) {
        child.kill('SIGKILL');
        throw new Error(`${name} did not end within 35 s of SIGTERM`);
      }
    },
  };
}
