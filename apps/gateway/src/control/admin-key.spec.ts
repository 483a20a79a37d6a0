import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { adminKey, keyChecker } from './admin-key.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cestx-key-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the administrator key', () => {
  it('is made once, even by several at a time, and is for its owner only', async () => {
    const path = join(folder, 'new', 'admin-key');
    const keys = await Promise.all([adminKey(path), adminKey(path), adminKey(path)]);
    expect(new Set(keys).size).toBe(1);
    expect(Buffer.from(keys[0] as string, 'base64url')).toHaveLength(32);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'new'))).toEqual(['admin-key']);
    expect(await adminKey(path)).toBe(keys[0]);
  });

  it('is closed to others when it was left open', async () => {
    const path = join(folder, 'admin-key');
    await writeFile(path, 'mine\n', { mode: 0o644 });
    expect(await adminKey(path)).toBe('mine');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('is told from any other', () => {
    const isKey = keyChecker('right');
    expect([isKey('right'), isKey('wrong'), isKey(''), isKey('right ')]).toEqual([true, false, false, false]);
  });
});
