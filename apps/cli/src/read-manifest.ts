import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { substitute } from '#contracts';

import { UsageError } from './explain-error.ts';

/** The text of a folder's function.yaml with its variables filled in; `named` is what the user calls the folder. */
export async function readManifest(
  folder: string,
  named: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const text = await readFile(resolve(folder, 'function.yaml'), 'utf8').catch(() => null);
  if (text !== null) return substitute(text, environment);
  throw new UsageError(
    `There is no function.yaml in ${named}. The shortest one is a line: \`name: my-function\`.`,
  );
}
