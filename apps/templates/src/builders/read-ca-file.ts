import { readFile } from 'node:fs/promises';

import { CestxError } from '#contracts';

/** The certificates a build trusts besides the public ones. */
export async function readCaFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new CestxError('build-failed', `CESTX_BUILD_CA_FILE names ${path}, which cannot be read.`, {
      cause: error,
    });
  }
}
