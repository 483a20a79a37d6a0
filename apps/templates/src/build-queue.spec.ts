import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { CestxError } from '#contracts';

import { BuildQueue } from './build-queue.ts';

const never = new AbortController().signal;

const of = (id: string, content = id, project = 'default') => ({ id, content, project });

function recorder() {
  const events: string[] = [];
  let at = 0;
  let most = 0;
  const work = (name: string) => async () => {
    most = Math.max(most, ++at);
    events.push(`${name} starts`);
    await sleep(20);
    events.push(`${name} ends`);
    at -= 1;
    return name;
  };
  return { events, work, most: () => most };
}

describe('the build queue', () => {
  it('has builds wait while somebody needs them to rest, who waits for those that run', async () => {
    const queue = new BuildQueue({ size: 2, timeout: 1000 });
    const { events, work } = recorder();
    const first = queue.run(of('first'), never, work('first'));
    await sleep(5);
    const rests = [queue.whileResting(work('rest')), queue.whileResting(work('other rest'))];
    await sleep(1);
    const second = queue.run(of('second'), never, work('second'));
    await Promise.all([first, second, ...rests]);
    expect(events.slice(0, 4)).toEqual(['first starts', 'first ends', 'rest starts', 'rest ends']);
    expect(events.indexOf('second starts')).toBeGreaterThan(3);
    await expect(queue.whileResting(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await queue.run(of('third'), never, work('third'))).toBe('third');
  });

  it('never runs more builds at once than it may, and runs them all', async () => {
    const queue = new BuildQueue({ size: 2, timeout: 1000 });
    const { work, most } = recorder();
    const names = ['a', 'b', 'c', 'd', 'e'];
    const results = await Promise.all(names.map((name) => queue.run(of(name, name), never, work(name))));
    expect(results).toEqual(names);
    expect(most()).toBe(2);
  });

  it('lets builds of the same content follow each other, and others pass', async () => {
    const queue = new BuildQueue({ size: 3, timeout: 1000 });
    const { events, work } = recorder();
    await Promise.all([
      queue.run(of('a', 'same'), never, work('a')),
      queue.run(of('b', 'same'), never, work('b')),
      queue.run(of('c', 'other'), never, work('c')),
    ]);
    expect(events.indexOf('b starts')).toBeGreaterThan(events.indexOf('a ends'));
    expect(events.indexOf('c starts')).toBeLessThan(events.indexOf('a ends'));
  });

  it('cancels a build that runs, and says so only once it has ended', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 1000 });
    let ended = false;
    const build = queue.run(of('a', 'a'), never, async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      await sleep(20);
      ended = true;
      throw signal.reason;
    });
    const outcome = build.catch((error: unknown) => error);
    await sleep(5);
    await queue.cancel('a', new CestxError('undone', 'no longer wanted'));
    expect(ended).toBe(true);
    expect(await outcome).toMatchObject({ code: 'undone' });
  });

  it('cancels a build that still waits, which then never runs', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 1000 });
    const { events, work } = recorder();
    const first = queue.run(of('a', 'a'), never, work('a'));
    const second = queue.run(of('b', 'b'), never, work('b')).catch((error: unknown) => error);
    await queue.cancel('b', new CestxError('undone', 'no longer wanted'));
    expect(await second).toMatchObject({ code: 'undone' });
    await first;
    expect(events).not.toContain('b starts');
  });

  it('ends a build that takes too long, counted from its start', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 60 });
    const { work } = recorder();
    const hang = (signal: AbortSignal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    const slow = queue.run(of('slow', 'slow'), never, hang).catch((error: unknown) => error);
    const patient = queue.run(of('patient', 'patient'), never, work('patient'));
    expect(await slow).toMatchObject({
      code: 'build-failed',
      message: expect.stringContaining('took longer') as string,
    });
    expect(await patient).toBe('patient');
  });

  it('gives a build back to be tried again when the room stops', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 1000 });
    const stopping = new AbortController();
    stopping.abort();
    const outcome = queue.run(of('a', 'a'), stopping.signal, async () => 'built');
    await expect(outcome).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });

  it('lets projects take turns, however many builds one of them has', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 1000 });
    const { events, work } = recorder();
    const many = Array.from({ length: 5 }, (_, index) => `many-${index}`);
    const builds = many.map((id) => queue.run(of(id, id, 'greedy'), never, work(id)));
    builds.push(queue.run(of('one', 'one', 'modest'), never, work('one')));
    await Promise.all(builds);
    const starts = events.filter((event) => event.endsWith('starts'));
    expect(starts.indexOf('one starts')).toBe(1);
    expect(starts.filter((event) => event.startsWith('many'))).toEqual(many.map((id) => `${id} starts`));
  });

  it('tells a build that waits how many come before it, and again as that changes', async () => {
    const queue = new BuildQueue({ size: 1, timeout: 1000 });
    const { work } = recorder();
    const told: number[] = [];
    await Promise.all([
      queue.run(of('a'), never, work('a')),
      queue.run(of('b'), never, work('b')),
      queue.run({ ...of('c'), onWait: (before) => told.push(before) }, never, work('c')),
    ]);
    expect(told).toEqual([2, 1]);
  });
});
