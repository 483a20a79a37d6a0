import { join } from 'node:path';

import type { BuildPlan } from './build-plan.ts';

/**
 * The command that starts a built folder without a container: with the folder's own programs first in its PATH, then
 * `programs`, and with the plan's environment where the machine's own says nothing. `interpreter` is what the program runs
 * on; it stands in the command so that one can see whether it is still there.
 */
export function startArgv(
  plan: BuildPlan,
  folder: string,
  { interpreter, programs }: { interpreter: string; programs: readonly string[] },
): string[] {
  const path = [...plan.path.map((one) => join(folder, one)), ...programs].join(':');
  const defaults = Object.entries(plan.environment).map(
    ([name, value]) => `[ -n "\${${name}+set}" ] || export ${name}=${quoted(value)}`,
  );
  const script = [`PATH=${quoted(path)}`, 'export PATH', ...defaults, 'exec "$@"'].join('; ');
  return ['/bin/sh', '-c', script, interpreter, ...plan.start];
}

/** What has to be there for such a command, besides its folder. */
export function neededBy(command: readonly string[]): string[] {
  return command.filter((word, index) => (index === 0 || index === 3) && word.startsWith('/'));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
