import { readFile } from 'node:fs/promises';
import { globSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');

test('.env.example names every variable that a room reads', async () => {
  const example = await readFile(join(root, '.env.example'), 'utf8');
  const documented = new Set([...example.matchAll(/^#?([A-Z][A-Z0-9_]*)=/gm)].map((match) => match[1]));
  const files = globSync(['apps/*/src/*.config.ts', 'libs/boot/src/*.config.ts'], { cwd: root });
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) {
    const text = await readFile(join(root, file), 'utf8');
    const read = [...text.matchAll(/^ {2}([A-Z][A-Z0-9_]*):/gm)].map((match) => match[1]);
    const missing = read.filter((name) => !documented.has(name));
    expect(missing, `${file} reads variables that .env.example does not name`).toEqual([]);
  }
});
