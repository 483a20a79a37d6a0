import { beforeEach, expect, test } from 'vitest';

import { defaultResources } from '#contracts';

import { Admission } from './admission.ts';
import { MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';
import { machinesConfig } from './machines.config.ts';

let book: MachineBook;
beforeEach(() => {
  book = new MachineBook();
});

const row = (id: string, state: MachineRow['state'] = 'creating'): MachineRow => ({
  id,
  project: 'default',
  function: 'echo',
  revision: 'echo-v1',
  artifact: { kind: 'image', image: 'x' },
  settings: { env: {}, resources: defaultResources, concurrency: 0, timeout: 1, health: { startup: 1 } },
  driver: 'docker',
  state,
  address: null,
  restarts: 0,
  retryAt: null,
  runningSince: null,
  createdAt: new Date(),
  since: new Date(),
  reason: null,
});

function admission(environment: Record<string, string> = { CESTX_HOST_MACHINES: '1' }): Admission {
  return new Admission(
    book,
    machinesConfig.parse({ CESTX_DATA: '.', CESTX_HOST_DISK_FREE: '1k', ...environment }),
  );
}

const never = (): Promise<never> => new Promise(() => undefined);
const taken = async (of: Admission): Promise<number> => (await of.capacity()).machines.used;

test('a share is set aside while a machine comes up, and until its record says that it is up', async () => {
  const one = admission();
  let up = (): void => undefined;
  const coming = one.within(row('a'), () => new Promise<void>((resolve) => (up = resolve)));
  await expect(one.within(row('b'), never)).rejects.toMatchObject({ code: 'no-capacity' });
  up();
  await coming;
  expect(await taken(one)).toBe(1);
  book.set(row('a', 'running'));
  expect(await taken(one)).toBe(1);
  book.set(row('a', 'stopped'));
  expect(await taken(one)).toBe(0);
});

test('what failed to come up gives its share back', async () => {
  const one = admission();
  const failing = one.within(row('a'), () => Promise.reject(new Error('it does not start')));
  await expect(failing).rejects.toThrow('it does not start');
  await expect(one.within(row('b'), () => Promise.resolve('up'))).resolves.toBe('up');
});

test('of many that ask at once, one is given the room of a frozen machine, and it is stopped once', async () => {
  const one = admission();
  book.set(row('frozen', 'frozen'));
  const stopped: string[] = [];
  one.makeRoomWith((id) => {
    stopped.push(id);
    book.set(row(id, 'stopped'));
    return Promise.resolve(true);
  });
  const asking = Array.from({ length: 20 }, (_, index) =>
    one.within(row(`m${index}`), () => Promise.resolve('up')),
  );
  const ends = await Promise.allSettled(asking);
  expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(stopped).toEqual(['frozen']);
});

test('a machine that was to make room but was woken keeps its own', async () => {
  const one = admission();
  book.set(row('woken', 'frozen'));
  one.makeRoomWith((id) => {
    book.set(row(id, 'running'));
    return Promise.resolve(false);
  });
  await expect(one.within(row('a'), never)).rejects.toMatchObject({ code: 'no-capacity' });
  expect(await taken(one)).toBe(1);
});

test('one that is up already is not asked for room', async () => {
  const one = admission();
  book.set(row('a', 'frozen'));
  book.set(row('b', 'running'));
  await expect(one.within(row('a'), () => Promise.resolve('thawed'))).resolves.toBe('thawed');
});

test('nothing is started on a disk that is as good as full', async () => {
  const one = admission({ CESTX_HOST_DISK_FREE: '1000000Gi' });
  await expect(one.within(row('a'), never)).rejects.toMatchObject({
    code: 'no-capacity',
    message: expect.stringMatching(/^The disk has .* free; a machine of echo may write 16 MiB of output/),
  });
});
