import { sourceOf } from '#builds';

import { ProcessBuilder } from './process.builder.ts';

/** A program that builds something endless; a test kills it and looks at what is left. */
const [data = '', buildId = '', path = ''] = process.argv.slice(2);

const builder = new ProcessBuilder({
  data,
  path,
  limits: { memory: 512 * 1024 ** 2, cpu: 1, disk: 1024 ** 3 },
});
const build = await builder.prepare({
  buildId,
  project: 'default',
  functionName: 'endless',
  sourceDigest: '',
  template: 'node',
  settings: { args: {} },
  source: sourceOf({
    'package.json': { scripts: { build: `echo started; (setsid sleep 98765 &); sleep 98765` } },
    'server.js': '',
  }),
  log: (line) => process.stdout.write(`${line}\n`),
  signal: new AbortController().signal,
});
await build.run();
