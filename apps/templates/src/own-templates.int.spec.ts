import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

import { startRoom, type RunningRoom } from '#boot';
import { sourceOf } from '#builds';
import {
  AcceptSource,
  AcceptTemplate,
  BuildSource,
  DeleteTemplate,
  DiscardBuild,
  GetDriver,
  GetTemplate,
  ListTemplates,
  subjectOf,
  type CommandType,
  type Failure,
  type PayloadOf,
} from '#contracts';
import { connectNats, JetStreamObjects, Messenger, Publisher, type Objects } from '#messaging';
import { baseImage, dockerAvailable, eventually, startTestServers, type TestServers } from '#testing';

import { packSource } from './archive/pack-source.ts';
import { templatesRoom } from './templates.module.ts';

const project = 'own-templates';

describe.skipIf(!dockerAvailable())('a template of one’s own', { timeout: 120_000 }, () => {
  let servers: TestServers;
  let data: string;
  let connection: Awaited<ReturnType<typeof connectNats>>;
  let messenger: Messenger;
  let objects: Objects;
  let room: RunningRoom;
  const builds: string[] = [];

  beforeAll(async () => {
    servers = await startTestServers();
    data = await mkdtemp(join(tmpdir(), 'cestx-own-templates-'));
    await chmod(data, 0o755);
    room = await startRoom(templatesRoom, {
      NATS_URL: servers.natsUrl,
      DATABASE_URL: await servers.databaseUrl('templates'),
      CESTX_LOG_LEVEL: 'silent',
      CESTX_DATA: data,
      PATH: process.env['PATH'] ?? '',
    });
    connection = await connectNats(servers.natsUrl, 'test');
    messenger = new Messenger(connection, new Publisher(connection));
    objects = new JetStreamObjects(connection);
    const driver = { driver: 'docker' as const, reason: 'a test', warning: null };
    messenger.answerAll(subjectOf(GetDriver), z.object({}), () => driver);
  });
  afterAll(async () => {
    for (const buildId of builds) await order(DiscardBuild, buildId, { buildId });
    await room?.stop();
    await connection?.close();
    await servers?.stop();
    await rm(data, { recursive: true, force: true });
  });

  async function store(files: Record<string, string>): Promise<string> {
    const uploadId = randomUUID();
    const archive = gzipSync(Buffer.concat([...packSource(sourceOf(files))]));
    await objects.put(`uploads/${uploadId}`, Readable.from([archive]));
    return (await messenger.ask(AcceptSource, { uploadId })).digest;
  }

  async function order<C extends CommandType>(
    command: C,
    id: string,
    payload: PayloadOf<C>,
  ): Promise<{ done: PayloadOf<C['done']> } | { failed: Failure }> {
    const stops: (() => void)[] = [];
    const ended = new Promise<{ done: PayloadOf<C['done']> } | { failed: Failure }>((resolve) => {
      stops.push(
        messenger.subscribe(command.done, id, (done) => resolve({ done: done as PayloadOf<C['done']> })),
      );
      stops.push(messenger.subscribe(command.failed, id, (failed) => resolve({ failed })));
    });
    await messenger.send(command, id, payload);
    return await ended.finally(() => stops.forEach((stop) => stop()));
  }

  const folder = (dockerfile: string, template = '') => ({
    'template.yaml': `name: greeter\ndetect: [greeting.txt]\nhealth: { path: /well, startup: 90s }\n${template}`,
    Dockerfile: dockerfile,
    'serve.js': 'setInterval(() => {}, 1000)',
    'sample/greeting.txt': 'hello from the sample',
  });
  const good = (say: string) =>
    `FROM ${baseImage}\nARG WHO=nobody\nCOPY .cestx/serve.js greeting.txt /app/\nRUN echo "${say} $WHO: $(cat /app/greeting.txt)"\nCMD ["node", "/app/serve.js"]\n`;

  async function accept(files: Record<string, string>, update: string | null = null) {
    const sourceDigest = await store(files);
    return await messenger.ask(AcceptTemplate, { versionId: randomUUID(), project, sourceDigest, update });
  }
  async function checked(version: number) {
    const get = () => messenger.ask(GetTemplate, { project, name: 'greeter' });
    await eventually(
      async () => {
        const { check } = await get();
        return check?.version === version && check.state !== 'checking';
      },
      { timeoutMs: 60_000 },
    );
    return await get();
  }
  async function build(name: string, settings: { template?: string; args?: Record<string, string> } = {}) {
    const buildId = randomUUID();
    builds.push(buildId);
    const sourceDigest = await store({ 'greeting.txt': `for ${name}` });
    return await order(BuildSource, buildId, {
      buildId,
      project,
      function: name,
      sourceDigest,
      build: { args: {}, ...settings },
    });
  }

  it('whose sample cannot be built is refused with the reason, and is not used', async () => {
    const template = await accept(folder(`FROM ${baseImage}\nRUN echo because; exit 3\n`));
    expect(template).toMatchObject({ version: null, check: { version: 1, state: 'checking' } });
    const { check, version } = await checked(1);
    expect(version).toBeNull();
    expect(check).toMatchObject({
      state: 'refused',
      error: {
        code: 'build-failed',
        message: expect.stringMatching(/^The sample could not be built: /) as string,
        lastLines: expect.arrayContaining(['because']) as string[],
      },
    });
    expect(await build('early', { template: 'greeter' })).toMatchObject({
      failed: { code: 'bad-request', message: expect.stringContaining('no template "greeter"') as string },
    });
  });

  it('is used once it was checked: by its name or by its file, with its arguments and its health', async () => {
    await accept(folder(good('one'), 'args: { WHO: world }'));
    expect(await checked(2)).toMatchObject({ version: 2, check: { state: 'ready' }, usedBy: [] });
    const detected = await build('one');
    expect(detected).toMatchObject({
      done: {
        template: 'greeter',
        templateVersion: 2,
        artifact: { kind: 'image' },
        health: { path: '/well', startup: 90_000 },
      },
    });
    const wrong = await build('wrong', { template: 'greeter', args: { COLOUR: 'red' } });
    expect(wrong).toMatchObject({
      failed: { message: 'build.args: the template "greeter" has no argument COLOUR; there are WHO.' },
    });
  });

  it('is not created twice, and not updated under another name', async () => {
    await expect(accept(folder(good('two')))).rejects.toMatchObject({ code: 'conflict' });
    await expect(accept(folder(good('two')), 'other')).rejects.toMatchObject({ code: 'invalid-template' });
  });

  it('gets a new version when it is updated, and what was built stays as it is', async () => {
    await accept(folder(good('two'), 'args: { WHO: world }'), 'greeter');
    expect(await checked(3)).toMatchObject({ version: 3, check: { state: 'ready' } });
    expect(await build('two')).toMatchObject({ done: { templateVersion: 3 } });
    await accept(folder('FROM nonsense:never\nRUN x'), 'greeter');
    expect(await checked(4)).toMatchObject({ version: 3, check: { version: 4, state: 'refused' } });
  });

  it('is not deleted while it is used, saying by what; and is after that', async () => {
    const remove = () => order(DeleteTemplate, randomUUID(), { project, name: 'greeter' });
    expect(await remove()).toMatchObject({
      failed: { code: 'conflict', message: expect.stringMatching(/is used by one, two;/) as string },
    });
    for (const buildId of builds) await order(DiscardBuild, buildId, { buildId });
    expect(await remove()).toEqual({ done: { project, name: 'greeter' } });
    const { items } = await messenger.ask(ListTemplates, { project });
    expect(items.map(({ name }) => name)).toEqual(['node', 'python', 'go', 'dockerfile', 'image']);
  });
});
