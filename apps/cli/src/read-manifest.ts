import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { substitute } from '#contracts';

import { UsageError } from './explain-error.ts';

/** The text of a folder's function.yaml with its variables filled in; `named` is what the user calls the folder. */
export async function readManifest(
  folder: string,
  named: string,
  environment: Readonly<Record<string, string | undefined>>,
  /** What the function is called where there is no function.yaml. */
  name?: string,
): Promise<string> {
  const text = await readFile(resolve(folder, 'function.yaml'), 'utf8').catch(() => null);
  if (text !== null) {
    if (name === undefined) return substitute(text, environment);
    throw new UsageError(`There is a function.yaml in ${named}, which says the name; leave out --name.`);
  }
  if (name !== undefined) return `name: ${JSON.stringify(name)}\n`;
  throw new UsageError(
    `There is no function.yaml in ${named}. The shortest one is a line: \`name: my-function\`.`,
  );
}
