import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { randomUUID } from 'node:crypto';

import { describeMachineDriver } from './machine-driver.suite.ts';
import { ProcessDriver } from './process.driver.ts';

const root = await mkdtemp(join(tmpdir(), 'cestx-process-'));
await chmod(root, 0o755);
const path = `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;

describeMachineDriver(
  'process',
  {
    outlives: false,
    contains: false,
    async open(house) {
      const driver = new ProcessDriver({ folder: join(root, house), path, house });
      await driver.open();
      return driver;
    },
    async artifactOf(program) {
      const folder = join(root, 'artifacts', randomUUID());
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, 'main.cjs'), program);
      return { kind: 'directory', path: folder, command: ['node', 'main.cjs'] };
    },
    clean: (house) => rm(join(root, house.endsWith('-other') ? house : ''), { recursive: true, force: true }),
  },
  process.platform !== 'linux',
);
