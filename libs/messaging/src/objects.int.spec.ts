import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startNats, type RunningServer } from '#servers';
import { s3ServerAvailable, startS3, type TestS3 } from '#testing';

import { connectNats } from './connect.ts';
import { JetStreamObjects } from './jetstream-objects.ts';
import { describeObjects } from './objects.suite.ts';
import { S3Objects } from './s3-objects.ts';

describe('objects in JetStream', () => {
  let folder: string;
  let nats: RunningServer;
  let connection: Awaited<ReturnType<typeof connectNats>>;
  let mounted = false;
  let objects: JetStreamObjects;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cestx-objects-'));
    // A disk of its own that is soon full; where we may not mount, that one test is left out.
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', folder], { stdio: 'ignore' });
      mounted = true;
    } catch {
      mounted = false;
    }
    nats = await startNats({ dataDir: folder });
    connection = await connectNats(nats.url, 'test');
    objects = new JetStreamObjects(connection);
  });

  afterAll(async () => {
    await connection?.close();
    await nats?.stop();
    if (mounted) execFileSync('umount', [folder]);
    await rm(folder, { recursive: true, force: true });
  });

  describeObjects(() => objects);

  it('are refused when the disk is full, which is said, and what is there can still be read', async (context) => {
    context.skip(!mounted, 'a disk that is soon full needs the right to mount one');
    await objects.put('small', Readable.from([Buffer.from('small')]));
    const tooMuch = Readable.from(Array.from({ length: 120 }, () => randomBytes(1024 ** 2)));
    await expect(objects.put('large', tooMuch)).rejects.toMatchObject({ code: 'disk-full' });
    expect(await objects.exists('large')).toBe(false);
    expect(await objects.exists('small')).toBe(true);
    await objects.put('after', Readable.from([randomBytes(1024 ** 2)]));
    expect((await objects.list()).map(({ name }) => name).sort()).toEqual(['after', 'small']);
  });
});

describe.skipIf(!s3ServerAvailable())('objects in a bucket of an S3 server', () => {
  let s3: TestS3;
  let objects: S3Objects;

  beforeAll(async () => {
    s3 = await startS3();
    objects = new S3Objects(s3);
  });

  afterAll(() => s3?.stop());

  describeObjects(() => objects);

  it('that refuses the key, has no such bucket, or is away, say so', async () => {
    const refused = new S3Objects({ ...s3, secretKey: 'wrong' });
    await expect(refused.exists('a')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('CESTX_S3_ACCESS_KEY') as string,
    });
    const elsewhere = new S3Objects({ ...s3, url: s3.url.replace('/cestx', '/other') });
    await expect(elsewhere.list()).rejects.toMatchObject({
      message: expect.stringContaining('no such bucket') as string,
    });
    const away = new S3Objects({ ...s3, url: 'http://127.0.0.1:1/cestx' });
    await expect(away.get('a')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  });
});
