import { eventually } from '#testing';
import { expect, test } from 'vitest';

import type { LogLine } from '#client';

import { deployHello, removeAndWait } from './harness/deploy.ts';
import { inEachHouse } from './harness/each-house.ts';
import type { House } from './harness/house.ts';
import { uniqueName } from './harness/sample-apps.ts';

inEachHouse('logs', (house) => {
  test('are kept from the first line, in order, with who said them', async () => {
    const name = uniqueName('log');
    await deployHello(house(), name);
    for (const text of ['a', 'b', 'c']) await house().call(`/function/${name}/say?text=line-${text}`);
    const lines = await eventually(async () => {
      const kept = (await keptLines(house(), name)).filter((line) => line.stream === 'stdout');
      return kept.length >= 4 && kept;
    });
    expect(lines.map((line) => line.text)).toEqual(['started one', 'line-a', 'line-b', 'line-c']);
    expect(lines[0]).toMatchObject({ name, revision: `${name}-v1`, machine: expect.any(String) });
    const last = (await keptLines(house(), name, { tail: 1 })).map((line) => line.text);
    expect(last).toEqual(['line-c']);
    await removeAndWait(house(), name);
  });

  test('are followed across a killed logs room without loss or repetition', async () => {
    const name = uniqueName('follow');
    await deployHello(house(), name);
    const before = await keptLines(house(), name);
    const expected = Array.from({ length: 60 }, (_, index) => `n-${index}`);
    for (const text of expected.slice(0, 20)) await house().call(`/function/${name}/say?text=${text}`);
    if (house().kind.mode === 'rooms') {
      house().process('logs').kill('SIGKILL');
      await house().process('logs').exited;
      for (const text of expected.slice(20, 40)) await house().call(`/function/${name}/say?text=${text}`);
      await house().startMissing();
    } else {
      for (const text of expected.slice(20, 40)) await house().call(`/function/${name}/say?text=${text}`);
    }
    for (const text of expected.slice(40)) await house().call(`/function/${name}/say?text=${text}`);
    await eventually(async () => (await saidLines(house(), name)).includes('n-59'));
    expect(await saidLines(house(), name)).toEqual(expected);
    const cursors = (await keptLines(house(), name)).map((line) => BigInt(line.cursor));
    expect(cursors).toEqual([...cursors].sort((a, b) => (a < b ? -1 : 1)));
    expect(new Set(cursors).size).toBe(cursors.length);
    expect(cursors.length).toBeGreaterThan(before.length);
    await removeAndWait(house(), name);
  });

  test('a follower sees lines as they are said', async () => {
    const name = uniqueName('tail');
    await deployHello(house(), name);
    const seen: string[] = [];
    const end = new AbortController();
    const following = (async () => {
      for await (const line of house().client.logs(name, { follow: true, tail: 0, signal: end.signal })) {
        seen.push(line.text);
      }
    })().catch((error: unknown) => {
      if (!end.signal.aborted) throw error;
    });
    try {
      await eventually(async () => {
        await house().call(`/function/${name}/say?text=live`);
        return seen.includes('live');
      });
    } finally {
      end.abort();
      await following;
    }
    await removeAndWait(house(), name);
  });
});

async function keptLines(house: House, name: string, query: { tail?: number } = {}): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const line of house.client.logs(name, query)) lines.push(line);
  return lines;
}

async function saidLines(house: House, name: string): Promise<string[]> {
  return (await keptLines(house, name)).map((line) => line.text).filter((text) => text.startsWith('n-'));
}
