import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

import { ServerError } from './server-error.ts';

const run = promisify(execFile);

/** Who a child runs as: `ids` only when we are root and it must not be; `setprivOptions` carries the whole wish. */
export interface RunAs {
  ids?: { uid: number; gid: number };
  setprivOptions: string[];
}

export const runAsOurselves: RunAs = { setprivOptions: [] };

/** PostgreSQL refuses to run as root, so root hands it to `nobody`. Anybody else runs it as themselves. */
export async function unprivileged(): Promise<RunAs> {
  if (process.getuid?.() !== 0) return runAsOurselves;
  const ids = await nobody();
  return {
    ids,
    setprivOptions: [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups'],
  };
}

/**
 * A checkout or data folder below /root (mode 0700) is out of reach for `nobody`. Rather than open somebody's home, the
 * child keeps the single capability to pass through folders and read. `no_setuid_fixup` is needed with it because
 * access(2), which initdb asks, drops the capabilities of non-root users otherwise.
 */
export async function ableToReach(runAs: RunAs, paths: string[]): Promise<RunAs> {
  if (!runAs.ids || (await reaches(runAs, paths))) return runAs;
  for (const capability of ['dac_read_search', 'dac_override']) {
    const candidate: RunAs = {
      ...runAs,
      setprivOptions: [
        ...runAs.setprivOptions,
        '--securebits=+no_setuid_fixup',
        `--inh-caps=+${capability}`,
        `--ambient-caps=+${capability}`,
      ],
    };
    if (await reaches(candidate, paths)) return candidate;
  }
  throw new ServerError(
    `PostgreSQL cannot run as root, and user "nobody" cannot reach ${paths.join(' and ')}. ` +
      'Make the folders above them passable (chmod o+x), or run CestX as an ordinary user.',
  );
}

async function reaches(runAs: RunAs, paths: string[]): Promise<boolean> {
  const tests = paths.flatMap((path, index) => (index === 0 ? ['-r', path] : ['-a', '-r', path]));
  try {
    // test(1) as a program, not the shell's own, because only a new process runs as the other user.
    await run('setpriv', [...runAs.setprivOptions, '--', 'test', ...tests]);
    return true;
  } catch (error) {
    throwIfSetprivIsMissing(error);
    return false;
  }
}

export function throwIfSetprivIsMissing(error: unknown): void {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
    throw new ServerError(
      'the program setpriv is missing, without which a killed CestX would leave its servers behind. ' +
        'It is part of util-linux: apt-get install util-linux (2.33 or newer).',
    );
  }
}

async function nobody(): Promise<{ uid: number; gid: number }> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const match = /^nobody:[^:]*:(\d+):(\d+):/m.exec(passwd);
  return { uid: Number(match?.[1] ?? 65534), gid: Number(match?.[2] ?? 65534) };
}
