import { dirname, join } from 'node:path';

/**
 * The command that starts a built folder without a container. Plain `node …` runs on our own Node.js; a program that a
 * dependency brought, or a shell line, gets a PATH as npm would give it.
 */
export function startArgv(start: readonly string[], folder: string, node: string): string[] {
  const [program, ...args] = start;
  if (program === 'node') return [node, ...args];
  const path = [join(folder, 'node_modules/.bin'), dirname(node), '/usr/local/bin', '/usr/bin', '/bin'];
  return ['/usr/bin/env', `PATH=${path.join(':')}`, ...start];
}
