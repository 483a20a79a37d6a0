import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { KeyedMutex } from './keyed-mutex.ts';

test('work of one key never overlaps, even when some of it fails', async () => {
  const mutex = new KeyedMutex();
  let inside = 0;
  let worst = 0;
  const work = (fails: boolean) => async () => {
    worst = Math.max(worst, ++inside);
    await delay(2);
    inside--;
    if (fails) throw new Error('planned');
  };
  await Promise.allSettled(Array.from({ length: 10 }, (_, n) => mutex.run('a', work(n % 3 === 0))));
  expect(worst).toBe(1);
  expect(mutex.isBusy('a')).toBe(false);
});

test('work of different keys runs side by side', async () => {
  const mutex = new KeyedMutex();
  let release = (): void => {};
  const held = mutex.run('a', () => new Promise<void>((resolve) => (release = resolve)));
  await expect(mutex.run('b', () => Promise.resolve('done'))).resolves.toBe('done');
  expect(mutex.isBusy('a')).toBe(true);
  release();
  await held;
});
