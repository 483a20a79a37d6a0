import { randomUUID } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import {
  activitySubject,
  endpointSchema,
  inFlightSubject,
  endpointsBucket,
  feedLineSchema,
  logSubject,
  type Artifact,
  type CommandType,
  type DriverName,
  type Endpoint,
  type Failure,
  type FeedLine,
  type PayloadOf,
  type Machine,
  type ResponseOf,
  type RouteEntry,
  type ScaleSettings,
  type StartMachine,
  defaultResources,
  defaultScale,
  ListMachines,
  routesBucket,
  WakeFunction,
} from '#contracts';
import { connectNats, ensureStreams, Feeds, KeyValues, Messenger, Publisher } from '#messaging';
import { baseImage, type TestServers } from '#testing';

import { connectToEngine } from './drivers/engine.ts';

const docker = connectToEngine('unix:///var/run/docker.sock');

type End<C extends CommandType> = { done: PayloadOf<C['done']> } | { failed: Failure };

/** What stands around a machines room in a test: those who send it commands, and a look at what is really there. */
export class RoomSurroundings {
  readonly endpoints = new Map<string, Endpoint>();
  readonly messenger: Messenger;
  readonly feeds: Feeds;
  private readonly publisher: Publisher;
  readonly #images: string[] = [];

  private constructor(
    readonly driver: DriverName,
    readonly data: string,
    readonly environment: Readonly<Record<string, string>>,
    private readonly connection: Awaited<ReturnType<typeof connectNats>>,
    /** A name of its own for each test file, so that they can run side by side on one engine. */
    private readonly functionName: string,
  ) {
    const publisher = new Publisher(connection);
    this.publisher = publisher;
    this.messenger = new Messenger(connection, publisher);
    this.feeds = new Feeds(connection, publisher);
  }

  static async open(
    driver: DriverName,
    servers: TestServers,
    functionName: string,
  ): Promise<RoomSurroundings> {
    await chmod(servers.dataDir, 0o755);
    const data = await mkdtemp(join(tmpdir(), 'cestx-machines-'));
    await chmod(data, 0o755);
    const connection = await connectNats(servers.natsUrl, 'test');
    await ensureStreams(connection);
    const environment = {
      NATS_URL: servers.natsUrl,
      DATABASE_URL: await servers.databaseUrl('machines'),
      CESTX_DATA: data,
      CESTX_DRIVER: driver,
      CESTX_LOG_LEVEL: 'silent',
      PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    };
    const around = new RoomSurroundings(driver, data, environment, connection, functionName);
    await new KeyValues(connection).watch(endpointsBucket, endpointSchema, (key, value) => {
      const id = key.split('.').at(-1) ?? '';
      if (value) around.endpoints.set(id, value);
      else around.endpoints.delete(id);
    });
    return around;
  }

  async close(): Promise<void> {
    await this.connection.close();
    for (const image of this.#images) await docker.getImage(image).remove({ force: true });
    await rm(this.data, { recursive: true, force: true });
  }

  /** Machines that exist for real, whatever the room says. */
  async leftovers(): Promise<string[]> {
    if (this.driver === 'process') return readdir(join(this.data, 'machines'));
    const label = [`cestx.function=${this.functionName}`];
    const all = await docker.listContainers({ all: true, filters: { label } });
    return all.map(({ Names }) => String(Names[0]));
  }

  async startCommand(
    program: string,
    more: { startup?: number; version?: number; path?: string } = {},
  ): Promise<PayloadOf<typeof StartMachine>> {
    return {
      machineId: `m-${randomUUID().slice(0, 12)}`,
      project: 'default',
      function: this.functionName,
      revision: `${this.functionName}-v${more.version ?? 1}`,
      artifact: await this.#artifactOf(program),
      settings: {
        env: {},
        resources: { ...defaultResources, cpu: 1, memory: 128 * 1024 ** 2, pids: 64 },
        concurrency: 3,
        timeout: 30_000,
        health: { startup: more.startup ?? 15_000, ...(more.path ? { path: more.path } : {}) },
      },
    };
  }

  /** Sends a command and waits for the one of its two events that it ends in. */
  async order<C extends CommandType>(command: C, payload: PayloadOf<C>): Promise<End<C>> {
    const { ended } = await this.send(command, payload);
    return ended;
  }

  async send<C extends CommandType>(command: C, payload: PayloadOf<C>): Promise<{ ended: Promise<End<C>> }> {
    const id = randomUUID();
    let stop: (() => void)[] = [];
    const ended = new Promise<End<C>>((resolve) => {
      stop = [
        this.messenger.subscribe(command.done, id, (done) => resolve({ done: done as PayloadOf<C['done']> })),
        this.messenger.subscribe(command.failed, id, (failed) => resolve({ failed })),
      ];
    }).finally(() => {
      for (const each of stop) each();
    });
    await this.messenger.send(command, id, payload);
    return { ended };
  }

  /** Gives the function a route, as the routes room would. */
  async setRoute(scale: Partial<ScaleSettings>, version = 1): Promise<void> {
    const entry: RouteEntry = {
      project: 'default',
      function: this.functionName,
      host: `${this.functionName}.localhost`,
      traffic: [{ revision: `${this.functionName}-v${version}`, percent: 100 }],
      timeout: 30_000,
      concurrency: 0,
      scale: { ...defaultScale, ...scale },
    };
    const key = `$KV.${routesBucket}.default.${this.functionName}`;
    await this.publisher.publish(key, JSON.stringify(entry), { messageId: randomUUID() });
  }

  async removeRoute(): Promise<void> {
    const key = `$KV.${routesBucket}.default.${this.functionName}`;
    await this.publisher.publish(key, '', { messageId: randomUUID(), headers: { 'KV-Operation': 'DEL' } });
  }

  /** Every machine of the function as the room tells of it, the oldest first. */
  async machines(): Promise<Machine[]> {
    return (await this.messenger.ask(ListMachines, { function: this.functionName })).items;
  }

  async states(): Promise<string[]> {
    return (await this.machines()).map(({ state }) => state);
  }

  wake(version = 1): Promise<ResponseOf<typeof WakeFunction>> {
    const key = {
      project: 'default',
      function: this.functionName,
      revision: `${this.functionName}-v${version}`,
    };
    return this.messenger.ask(WakeFunction, key, { timeoutMs: 30_000 });
  }

  /** A process that calls machines: it reports all the time, and answers what is in flight unless it is told to be silent. */
  startCaller(name: string): { calls: number; silent: boolean; asked: number; stop: () => void } {
    const caller = { calls: 0, silent: false, asked: 0, stop: () => clearInterval(timer) };
    const report = { caller: name, functions: [] };
    const timer = setInterval(() => this.messenger.tell(activitySubject(name), report), 100);
    this.connection.subscribe(inFlightSubject, {
      callback: (_, message) => {
        caller.asked++;
        if (!caller.silent) message.respond(JSON.stringify({ calls: caller.calls, open: false }));
      },
    });
    return caller;
  }

  async linesOf(id: string): Promise<FeedLine[]> {
    const items = await this.feeds.read(logSubject('default', this.functionName, id), feedLineSchema);
    return items.map(({ value }) => value);
  }

  async #artifactOf(program: string): Promise<Artifact> {
    if (this.driver === 'docker') {
      const options = { Image: baseImage, Cmd: ['node', '-e', program], Entrypoint: [] };
      const container = await docker.createContainer(options);
      const { Id: image } = (await container.commit()) as { Id: string };
      await container.remove();
      this.#images.push(image);
      return { kind: 'image', image };
    }
    const path = join(this.data, 'artifacts', randomUUID());
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'main.cjs'), program);
    return { kind: 'directory', path, command: ['node', 'main.cjs'] };
  }
}

/** A program that answers `hello`, crashes when `/crash` is called, and ends well when asked to. */
export function servingProgram(more = ''): string {
  return `
    console.log('first line');
    require('node:http').createServer((q, r) => {
      if (q.url === '/crash') { console.error('last words'); setTimeout(() => process.exit(7), 10); }
      r.end('hello');
    }).listen(process.env.PORT, '0.0.0.0');
    process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0); });
    ${more}
  `;
}

export async function call(address: string, path = '/'): Promise<string> {
  return (await fetch(`http://${address}${path}`)).text();
}

export function failureOf(end: object): Failure {
  if (!('failed' in end)) throw new Error(`it did not fail: ${JSON.stringify(end)}`);
  return end.failed as Failure;
}

export function addressOf(end: object): string {
  if (!('done' in end)) throw new Error(`it failed: ${JSON.stringify(end)}`);
  return (end.done as { address: string }).address;
}
