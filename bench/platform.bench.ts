import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { startAllInOne } from './all-in-one.ts';
import { memoryOf } from './process-tree.ts';
import { median, report } from './report.ts';

const warmStarts = 5;
const settleMs = 5000;

const folder = await mkdtemp(join(tmpdir(), 'cestx-bench-'));
try {
  const first = await startAllInOne(folder, 'process');
  report({ name: 'all-in-one, first start to ready', value: first.readyMs / 1000, unit: 's' });
  await first.stop();
  const starts: number[] = [];
  const memory: number[] = [];
  for (let turn = 0; turn < warmStarts; turn++) {
    const platform = await startAllInOne(folder, 'process');
    starts.push(platform.readyMs / 1000);
    if (turn === 0) {
      await sleep(settleMs);
      memory.push(await memoryOf(platform.process.pid ?? 0));
    }
    await platform.stop();
  }
  const start = median(starts);
  const rest = median(memory);
  report({ name: 'all-in-one, warm start to ready', value: start, unit: 's', gate: '< 3 s', met: start < 3 });
  report({
    name: 'all-in-one at rest, all processes (PSS)',
    value: rest,
    unit: 'MB',
    gate: '< 350 MB',
    met: rest < 350,
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}
