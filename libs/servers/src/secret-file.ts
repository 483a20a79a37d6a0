import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A random secret that stays the same over restarts, readable by its owner only. */
export async function secretFile(path: string): Promise<string> {
  const kept = await readSecret(path);
  if (kept) return kept;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const half = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(half, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 });
  try {
    // link() refuses to replace: of two that race, the first one's secret holds for both.
    await link(half, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(half, { force: true });
  }
  const secret = await readSecret(path);
  if (!secret) throw new Error(`${path} is empty; remove it and start again`);
  return secret;
}

async function readSecret(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.trim() || undefined;
}
