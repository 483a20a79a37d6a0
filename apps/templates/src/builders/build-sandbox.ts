import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { CestxError } from '#contracts';

import { BuildCgroup } from './build-cgroup.ts';
import type { BuildLimits } from './builder.ts';
import { type ProgramOptions, runProgram } from './run-program.ts';

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
  readonly user = process.getuid?.() === 0 ? nobody : null;
  readonly #limits: BuildLimits;
  #wrappers: Promise<string[]> | undefined;

  constructor(limits: BuildLimits) {
    this.#limits = limits;
  }

  /** Resolves with how the program ended, null when well. */
  async run(buildId: string, argv: readonly string[], options: ProgramOptions): Promise<string | null> {
    this.#wrappers ??= this.#findWrappers();
    const wrappers = await this.#wrappers;
    const group = this.user ? await BuildCgroup.create(buildId, this.#limits) : null;
    try {
      const exit = await runProgram([...(group?.join ?? []), ...wrappers, ...argv], options);
      return exit !== null && (await group?.ranOutOfMemory()) ? 'Killed: out of memory' : exit;
    } finally {
      await group?.remove();
    }
  }

  async clear(buildId: string): Promise<void> {
    if (this.user) await BuildCgroup.clear(buildId);
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

  async checkReach(paths: readonly string[]): Promise<void> {
    if (!this.user) return;
    for (const path of paths) {
      try {
        await execute('setpriv', [...asNobody, '--', 'test', '-r', path]);
      } catch (error) {
        throw new CestxError(
          'build-failed',
          `Builds run as the user nobody, who cannot reach ${path}; make the folders above it passable (chmod o+x), or run CestX as an ordinary user.`,
          { cause: error },
        );
      }
    }
  }

  /** What this system has of it; each wrapper is tried once, on its own. */
  async #findWrappers(): Promise<string[]> {
    const own = this.user ? [] : ['--user', '--map-current-user'];
    // The wish to die with the parent is forgotten with each change of user, so it is made again after it.
    const drop = ['setpriv', dieWithParent, ...(this.user ? asNobody : []), '--'];
    const wrappers = [
      ...(await works(['setpriv', dieWithParent, '--'])),
      ...(await works(['unshare', ...own, '--pid', '--fork', '--kill-child', '--mount-proc', '--'])),
      ...(await works(drop)),
      ...(await works([
        'prlimit',
        `--data=${this.#limits.memory + reservedBytes}`,
        `--nofile=${openFiles}`,
        `--fsize=${fileBytes}`,
        '--core=0',
        '--',
      ])),
      ...(await works(['nice', '-n', '5', '--'])),
    ];
    if (this.user && !wrappers.includes('--no-new-privs')) {
      throw new CestxError(
        'build-failed',
        'Builds run as the user nobody, for which the program setpriv is needed: apt-get install util-linux.',
      );
    }
    return wrappers;
  }
}

async function works(wrapper: string[]): Promise<string[]> {
  const [program = '', ...args] = wrapper;
  return await execute(program, [...args, 'true']).then(
    () => wrapper,
    () => [],
  );
}
