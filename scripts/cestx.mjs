#!/usr/bin/env node
// The `cestx` command: runs the built CLI, after building it when this checkout has not been built yet.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { bootstrap, root, runInstead } from './bootstrap.mjs';
import { ensureNode } from './ensure-node.mjs';
import { fail } from './say.mjs';

const entry = join(root, 'dist/apps/cli/src/main.js');

async function main() {
  const built = await access(entry).then(
    () => true,
    () => false,
  );
  const node = built ? (await ensureNode()).path : await bootstrap({ server: false });
  runInstead(node, ['--enable-source-maps', entry, ...process.argv.slice(2)]);
}

main().catch(fail);
