import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { processEnvironment, sentenceOf, stopOnSignal } from '#boot';
import { createClient, styleFor } from '#client';
import { substitute } from '#contracts';

import { nextSteps, playDemo } from './demo-story.ts';
import { readOptions } from './platform-options.ts';
import { startPlatform } from './platform.ts';

const own = new Set(['--once', '--json']);
const given = process.argv.slice(2);
const once = given.includes('--once');
const json = given.includes('--json');

/** With --json stdout carries the one object and nothing else. */
const screen = json ? process.stderr : process.stdout;
const style = styleFor(screen, processEnvironment);
const write = (text: string): void => void screen.write(text);

try {
  const begin = performance.now();
  const options = readOptions(
    given.filter((word) => !own.has(word)),
    processEnvironment,
  );
  const platform = await startPlatform(options, processEnvironment, (line) => write(`${line}\n`));
  const interrupted = new AbortController();
  stopOnSignal(() => (interrupted.abort(), platform.stop()));
  let failed = false;
  try {
    write(`ready ${platform.url} after ${((performance.now() - begin) / 1000).toFixed(1)} s\n`);
    const source = join(import.meta.dirname, '../../../..', 'examples/echo-name');
    const stage = {
      client: createClient({ url: platform.url, key: platform.adminKey }),
      gateway: platform.url,
      domain: platform.domain,
      source,
      manifest: substitute(await readFile(join(source, 'function.yaml'), 'utf8'), processEnvironment),
      style,
      live: screen.isTTY === true,
      write,
      signal: interrupted.signal,
    };
    const report = await playDemo(stage);
    failed = report.status !== 200;
    if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    if (!once) write(`${nextSteps(stage, report)}\n`);
  } finally {
    if (once) await platform.stop();
  }
  if (once) process.exit(failed ? 1 : 0);
} catch (error) {
  process.stderr.write(`cestx: ${sentenceOf(error)}\n`);
  process.exit(1);
}
