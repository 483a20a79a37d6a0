import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '#servers';

import { eventually } from './eventually.ts';
import { registryBinary } from './what-is-here.ts';

export interface TestRegistry {
  /** Host and port on loopback, where an engine speaks plain HTTP. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  /** Where it keeps its blobs, for tests that spoil one. */
  readonly folder: string;
  /** Answers nobody for a while. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

const user = 'test';
const password = 'registry-test';
/** Of that password; the registry takes no other kind of hash. */
const hash = '$2b$04$PALlOCT7YxS9Cp0Wg1y6NeBogfSyR8dSoVp0FZWvnJcr7Za7d4g2O';

/** A real registry on loopback that lets nobody in without its password; `stop` removes what it kept. */
export async function startRegistry(): Promise<TestRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-registry-'));
  const port = await freePort();
  await writeFile(join(folder, 'htpasswd'), `${user}:${hash}\n`);
  await writeFile(
    join(folder, 'config.yml'),
    `version: 0.1
log: { level: error, accesslog: { disabled: true } }
storage: { filesystem: { rootdirectory: '${folder}/data' }, delete: { enabled: true } }
http: { addr: '127.0.0.1:${port}' }
auth: { htpasswd: { realm: test, path: '${folder}/htpasswd' } }
`,
  );
  // Ends with us, however we end.
  const child = spawn(
    'setpriv',
    ['--pdeathsig=KILL', '--', registryBinary, 'serve', join(folder, 'config.yml')],
    { stdio: 'ignore' },
  );
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const address = `127.0.0.1:${port}`;
  try {
    await eventually(async () => (await fetch(`http://${address}/v2/`)).status === 401);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    address,
    user,
    password,
    folder: join(folder, 'data'),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    stop,
  };
}
