import { processEnvironment, sentenceOf, stopOnSignal } from '#boot';

import { readOptions } from './platform-options.ts';
import { startPlatform } from './platform.ts';

try {
  const platform = await startPlatform(
    readOptions(process.argv.slice(2), processEnvironment),
    processEnvironment,
    (line) => process.stderr.write(`${line}\n`),
  );
  stopOnSignal(() => platform.stop());
  process.stdout.write(`ready ${platform.url}\n`);
} catch (error) {
  process.stderr.write(`cestx: ${sentenceOf(error)}\n`);
  process.exit(1);
}
