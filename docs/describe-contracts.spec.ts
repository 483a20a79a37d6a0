import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { describeErrors, describeMessages } from './describe-contracts.ts';

test.each([
  ['messages.md', describeMessages],
  ['errors.md', describeErrors],
])('%s says what the contracts say; if not: npm run docs', async (file, describePage) => {
  expect(await readFile(join(import.meta.dirname, file), 'utf8')).toBe(describePage());
});
