import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { type ProgramOptions, runProgram } from '#builds';

import { BuildCgroup } from './build-cgroup.ts';
import type { BuildLimits } from './builder.ts';

const execute = promisify(execFile);

const nobody = { uid: 65534, gid: 65534 };
const openFiles = 8192;
/** V8 reserves writable memory that it never touches; below this much more than it uses, Node.js does not start. */
const reservedBytes = 1024 ** 3;
/** Bytes of any one file a build writes. */
const fileBytes = 2 * 1024 ** 3;
const asNobody = [`--reuid=${nobody.uid}`, `--regid=${nobody.gid}`, '--clear-groups', '--no-new-privs'];
const dieWithParent = '--pdeathsig=KILL';

/**
 * Runs the commands of a build with less power than we have, as far as the system lets us. As root: as `nobody`, in a
 * control group with the build's limits. Where the system allows it, in a process namespace of its own, which dies as a
 * whole with its first process and with us, however we die.
 */
export class BuildSandbox {
  /** Whom a build runs as; null is ourselves. */
  readonly user: { uid: number; gid: number } | null;
  /** What the user should know of a build that runs with more power than it should. */
  readonly warning: string | null;
  readonly #limits: BuildLimits;
  readonly #wrappers: string[];

  private constructor(
    user: typeof nobody | null,
    warning: string | null,
    limits: BuildLimits,
    wrappers: string[],
  ) {
    this.user = user;
    this.warning = warning;
    this.#limits = limits;
    this.#wrappers = wrappers;
  }

  /** `paths` are what a build has to reach, whoever it runs as. */
  static async open(limits: BuildLimits, paths: readonly string[]): Promise<BuildSandbox> {
    const unreachable = isRoot() ? await firstOutOfReach(paths) : null;
    const user = isRoot() && unreachable === null ? nobody : null;
    const warning =
      unreachable === null
        ? null
        : `The user nobody cannot reach ${unreachable}, so this build runs as root; make the folders above it passable (chmod o+x).`;
    return new BuildSandbox(user, warning, limits, await findWrappers(limits, user !== null));
  }

  /** Ends what a killed build left of its limits. */
  static async clear(buildId: string): Promise<void> {
    if (isRoot()) await BuildCgroup.clear(buildId);
  }

  /** Resolves with how the program ended, null when well. */
  async run(buildId: string, argv: readonly string[], options: ProgramOptions): Promise<string | null> {
    const group = isRoot() ? await BuildCgroup.create(buildId, this.#limits) : null;
    try {
      const exit = await runProgram([...(group?.join ?? []), ...this.#wrappers, ...argv], options);
      return exit !== null && (await group?.ranOutOfMemory()) ? 'Killed: out of memory' : exit;
    } finally {
      await group?.remove();
    }
  }

  /** The files become the build's own. */
  async handOver(folder: string): Promise<void> {
    if (this.user) await execute('chown', ['-Rh', `${this.user.uid}:${this.user.gid}`, folder]);
  }

  /** After the build nobody but us may change what it made, and everybody may read it. */
  async seal(folder: string): Promise<void> {
    if (this.user) await execute('chown', ['-Rh', '0:0', folder]);
    await execute('chmod', ['-R', 'a+rX,go-w,u-s,g-s', folder]);
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function firstOutOfReach(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) if (!(await reachableByNobody(path))) return path;
  return null;
}

/** Whether the user that builds run as can read a file; anything can be read when that is ourselves. */
export async function reachableByNobody(path: string): Promise<boolean> {
  if (!isRoot()) return true;
  // test(1) as a program of its own, because only a new process runs as the other user.
  return await execute('setpriv', [...asNobody, '--', 'test', '-r', path]).then(
    () => true,
    () => false,
  );
}

/** What this system has of it; each wrapper is tried once, on its own. */
async function findWrappers(limits: BuildLimits, dropRoot: boolean): Promise<string[]> {
  const userNamespace = isRoot() ? [] : ['--user', '--map-current-user'];
  // The wish to die with the parent is forgotten with each change of user, so it is made again after it.
  const drop = ['setpriv', dieWithParent, ...(dropRoot ? asNobody : []), '--'];
  const memory = limits.memory + reservedBytes;
  return [
    ...(await works(['setpriv', dieWithParent, '--'])),
    ...(await works(['unshare', ...userNamespace, '--pid', '--fork', '--kill-child', '--mount-proc', '--'])),
    ...(dropRoot ? drop : await works(drop)),
    ...(await works([
      'prlimit',
      `--data=${memory}`,
      `--nofile=${openFiles}`,
      `--fsize=${fileBytes}`,
      '--core=0',
      '--',
    ])),
    ...(await works(['nice', '-n', '5', '--'])),
  ];
}

/** The wrapper, when it can wrap the program `true`; else nothing. */
async function works(wrapper: string[]): Promise<string[]> {
  const [program = '', ...args] = wrapper;
  return await execute(program, [...args, 'true']).then(
    () => wrapper,
    () => [],
  );
}
