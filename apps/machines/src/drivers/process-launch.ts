import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The user of that name in every distribution we know. */
export const nobody = 65534;

/** Moves itself into the cgroups named by its first arguments, then becomes the rest of them. */
const enterAndBecome =
  'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ > "$1" || exit 125; shift; n=$((n-1)); done; exec "$@"';

export interface Launch {
  readonly command: readonly string[];
  readonly cgroupFiles: readonly string[];
  /** Give up root; only root can. */
  readonly asNobody: boolean;
  /** Bound the processes of the user; only for when no cgroup counts those of the machine. */
  readonly processes: number | null;
  /** Open files of one process. */
  readonly files: number;
}

/**
 * The words that start a program with what a plain process can be limited by. One pid all the way: each link becomes the
 * next. It dies with its parent, gains no privileges, and may not open files without end.
 */
export function launchWords({
  command,
  cgroupFiles,
  asNobody,
  processes,
  files,
}: Launch): [string, ...string[]] {
  return [
    'sh',
    '-c',
    enterAndBecome,
    'sh',
    String(cgroupFiles.length),
    ...cgroupFiles,
    'setpriv',
    '--pdeathsig',
    'KILL',
    '--no-new-privs',
    ...(asNobody
      ? [
          '--reuid',
          String(nobody),
          '--regid',
          String(nobody),
          '--clear-groups',
          '--inh-caps=-all',
          '--bounding-set=-all',
        ]
      : []),
    'prlimit',
    `--nofile=${files}:${files}`,
    '--core=0:0',
    ...(processes === null ? [] : [`--nproc=${processes}:${processes}`]),
    '--',
    ...command,
  ];
}

/** Whether a user without rights of any kind can get into a folder: it and every one above must let others through. */
export async function othersCanEnter(folder: string): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const mode = (await stat(at).catch(() => null))?.mode ?? 0;
    if ((mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
