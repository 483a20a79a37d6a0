import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from '#servers';

import { eventually } from './eventually.ts';
import { s3ServerBinary } from './what-is-here.ts';

export interface TestS3 {
  /** Of a bucket that exists. */
  readonly url: string;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  stop(): Promise<void>;
}

/** A real S3 server on loopback, with one empty bucket and one key; `stop` removes what it kept. */
export async function startS3(): Promise<TestS3> {
  const folder = await mkdtemp(join(tmpdir(), 'cestx-s3-'));
  await mkdir(join(folder, 'meta'));
  await mkdir(join(folder, 'buckets/cestx'), { recursive: true });
  const port = await freePort();
  const [accessKey, secretKey] = [randomUUID(), randomUUID()];
  const argv = [
    s3ServerBinary,
    '--port',
    `127.0.0.1:${port}`,
    '--region',
    'us-east-1',
    'posix',
    '--sidecar',
    join(folder, 'meta'),
    join(folder, 'buckets'),
  ];
  // Ends with us, however we end. Its keys are in the environment, not on a command line that everybody can read.
  const child = spawn('setpriv', ['--pdeathsig=KILL', '--', ...argv], {
    stdio: 'ignore',
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  const stop = async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `http://127.0.0.1:${port}/cestx`, region: 'us-east-1', accessKey, secretKey, stop };
}
