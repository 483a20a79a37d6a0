import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buffer } from 'node:stream/consumers';

import { UsageError } from './explain-error.ts';
import type { Surroundings } from './session.ts';

/** The bytes `--data` names: `text`, `@file`, `-` or `@-` for stdin. Throws a usage error for a file that cannot be read. */
export async function readData(data: string, { stdin, folder }: Surroundings): Promise<Buffer> {
  if (data === '-' || data === '@-') return buffer(stdin);
  if (!data.startsWith('@')) return Buffer.from(data);
  const path = data.slice(1);
  return readFile(resolve(folder, path)).catch(() => {
    throw new UsageError(`The file ${path} cannot be read.`);
  });
}

/** Whether it is JSON in UTF-8. */
export function isJsonText(data: Buffer): boolean {
  try {
    JSON.parse(data.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

/** Whether a terminal can show it as text. */
export function isPlainText(data: Buffer): boolean {
  const text = data.toString('utf8');
  return Buffer.from(text).equals(data) && !/[\u0000-\u0008\u000e-\u001f]/.test(text);
}
