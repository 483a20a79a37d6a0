import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** The administrator key; made when the file is not there yet. Readable by its owner only. */
export async function adminKey(path: string): Promise<string> {
  const kept = await readKey(path);
  if (kept) return kept;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const half = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(half, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  try {
    // link() refuses to replace: of two gateways that start at once, the first one's key holds for both.
    await link(half, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(half, { force: true });
  }
  const key = await readKey(path);
  if (!key) throw new Error(`The administrator key file ${path} is empty; remove it and start again.`);
  return key;
}

/** Compares digests, so that neither the time it takes nor a difference in length tells anything about the key. */
export function keyChecker(key: string): (given: string) => boolean {
  const digest = sha256(key);
  return (given) => timingSafeEqual(sha256(given), digest);
}

async function readKey(path: string): Promise<string> {
  try {
    const text = await readFile(path, 'utf8');
    await chmod(path, 0o600);
    return text.trim();
  } catch (error) {
    if (isCode(error, 'ENOENT')) return '';
    throw error;
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
