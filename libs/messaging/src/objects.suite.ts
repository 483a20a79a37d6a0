import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { expect, it } from 'vitest';

import type { Objects } from './objects.ts';

const mebibyte = 1024 ** 2;

/** Yields the parts, then breaks off. */
async function* breakingOff(...parts: Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
  throw new Error('the sender is gone');
}

/** What every object store does, wherever it keeps its objects. */
export function describeObjects(under: () => Objects): void {
  const read = async (name: string) => {
    const stream = await under().get(name);
    return stream && (await buffer(stream));
  };
  const names = async (prefix: string) => (await under().list(prefix)).map(({ name }) => name).sort();

  it('gives back what was put, of any size, and tells when there is nothing', async () => {
    const objects = under();
    const sizes = [0, 1, mebibyte, 20 * mebibyte + 1];
    for (const size of sizes) {
      const content = randomBytes(size);
      const name = `sizes/${size}`;
      expect(await objects.put(name, Readable.from([content], { objectMode: false }))).toEqual({ size });
      expect((await read(name))?.equals(content)).toBe(true);
      expect(await objects.exists(name)).toBe(true);
    }
    expect((await objects.list('sizes/')).map(({ size }) => size).sort((a, b) => a - b)).toEqual(sizes);
    for (const size of sizes) await objects.remove(`sizes/${size}`);
    expect(await objects.get('sizes/1')).toBeNull();
    expect(await objects.exists('sizes/1')).toBe(false);
    await objects.remove('sizes/1');
    expect(await names('sizes/')).toEqual([]);
  });

  it('lists by prefix, with the time of each', async () => {
    const objects = under();
    const since = Date.now() - 5000;
    for (const name of ['lists/a', 'lists/b.tar_1', 'listsc'])
      await objects.put(name, Readable.from([Buffer.from(name)]));
    expect(await names('lists/')).toEqual(['lists/a', 'lists/b.tar_1']);
    const [first] = await objects.list('lists/a');
    expect(first?.modifiedAt.getTime()).toBeGreaterThan(since);
    for (const name of ['lists/a', 'lists/b.tar_1', 'listsc']) await objects.remove(name);
  });

  it('replaces a whole object, and keeps the old one when the new one breaks off', async () => {
    const objects = under();
    await objects.put('replaced', Readable.from([Buffer.from('old')]));
    const large = Readable.from(breakingOff(randomBytes(9 * mebibyte), randomBytes(mebibyte)));
    await expect(objects.put('replaced', large)).rejects.toThrow('the sender is gone');
    expect(String(await read('replaced'))).toBe('old');
    await expect(objects.put('never', Readable.from(breakingOff(Buffer.from('x'))))).rejects.toThrow();
    expect(await objects.exists('never')).toBe(false);
    await objects.put('replaced', Readable.from([Buffer.from('new')]));
    expect(String(await read('replaced'))).toBe('new');
    await objects.remove('replaced');
  });
}
