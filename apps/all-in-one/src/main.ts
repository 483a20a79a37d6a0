import { processEnvironment, sentenceOf, stopOnSignal } from '#boot';
import { createClient } from '#client';

import { readOptions } from './platform-options.ts';
import { startPlatform } from './platform.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

try {
  const platform = await startPlatform(
    readOptions(process.argv.slice(2), processEnvironment),
    processEnvironment,
    say,
  );
  stopOnSignal(() => platform.stop());
  const client = createClient({ url: platform.url, key: platform.adminKey });
  const { driver, reason, warning } = await client.getDriver();
  say(`functions run on ${driver}: ${reason}`);
  if (warning) say(warning);
  process.stdout.write(`ready ${platform.url}\n`);
} catch (error) {
  process.stderr.write(`cestx: ${sentenceOf(error)}\n`);
  process.exit(1);
}
