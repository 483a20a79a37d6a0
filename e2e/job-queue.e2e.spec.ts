import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { root } from './harness/child.ts';
import { House } from './harness/house.ts';

const run = promisify(execFile);

describe('the queue of jobs', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.start({ mode: 'all-in-one', driver: 'process' });
  });
  afterAll(() => house?.stop());

  test(
    'rests at 0, has 25 machines once 100 jobs wait, keeps them until all are done, each once, and is at 0 again',
    { timeout: 300_000 },
    async () => {
      const { stdout } = await run(process.execPath, [join(root, 'examples/job-queue/run.mjs'), '--json'], {
        env: {
          ...process.env,
          CESTX_URL: house.url,
          CESTX_KEY: house.key,
          JOB_SCHEDULE: '@every 5s',
          JOB_MS: '4000',
          PATIENCE_MS: '240000',
        },
      });
      expect(JSON.parse(stdout)).toMatchObject({
        jobs: 100,
        done: 100,
        doneTwice: 0,
        mostMachines: 25,
        machinesAtEnd: 0,
      });
    },
  );
});
