import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until a URL answers anything; calls `giveUp` when it does not. */
export async function answers(url: string, giveUp: () => Promise<void>): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answered) return;
    await sleep(100);
  }
  await giveUp();
  throw new Error(`${url} does not answer`);
}
