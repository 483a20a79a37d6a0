import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { Kvm } from '@nats-io/kv';

import { startRoom, type RunningRoom } from '#boot';
import {
  CestxError,
  defaultDelivery,
  defaultScale,
  endpointsBucket,
  parseManifest,
  routesBucket,
  SetTriggers,
  type CommandType,
  type DeliverySettings,
  type PayloadOf,
  type ScaleSettings,
} from '#contracts';
import { connectNats, EventStreams, Messenger, Publisher } from '#messaging';
import { startTestServers, type TestServers } from '#testing';

import { triggersRoom } from './triggers.module.ts';

export interface Received {
  headers: IncomingMessage['headers'];
  body: string;
  at: number;
}
export interface Reply {
  status?: number;
  headers?: Record<string, string>;
  body?: string;
}

/** A function as the room sees it: a program that answers, a machine in one bucket and a route in the other. */
export interface TestFunction {
  readonly name: string;
  readonly received: Received[];
  answer: (request: Received, count: number) => Reply | Promise<Reply>;
  /** Its machine can be called, or not. */
  show(ready: boolean): Promise<void>;
}

export class TriggersHouse {
  rooms: RunningRoom[] = [];
  readonly #servers: Server[] = [];

  private constructor(
    readonly servers: TestServers,
    readonly environment: Record<string, string>,
    readonly connection: Awaited<ReturnType<typeof connectNats>>,
    readonly messenger: Messenger,
    readonly streams: EventStreams,
  ) {}

  static async start(): Promise<TriggersHouse> {
    const servers = await startTestServers();
    const environment = {
      NATS_URL: servers.natsUrl,
      DATABASE_URL: await servers.databaseUrl('triggers'),
      CESTX_LOG_LEVEL: 'silent',
      CESTX_EVENT_HOLD_MS: '2000',
    };
    const first = await startRoom(triggersRoom, environment);
    const connection = await connectNats(servers.natsUrl, 'test');
    const publisher = new Publisher(connection);
    const messenger = new Messenger(connection, publisher);
    const house = new TriggersHouse(
      servers,
      environment,
      connection,
      messenger,
      new EventStreams(connection, publisher),
    );
    house.rooms.push(first);
    return house;
  }

  async addRoom(): Promise<RunningRoom> {
    const room = await startRoom(triggersRoom, this.environment);
    this.rooms.push(room);
    return room;
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
    await Promise.all(this.rooms.map((room) => room.stop()));
    await this.connection.close();
    await this.servers.stop();
  }

  /** A function with these triggers, as in the manifest, and a machine that is ready. */
  async add(
    triggers: string,
    options: {
      delivery?: Partial<DeliverySettings>;
      concurrency?: number;
      scale?: Partial<ScaleSettings>;
    } = {},
  ): Promise<TestFunction> {
    const name = `fn-${randomUUID().slice(0, 8)}`;
    const received: Received[] = [];
    const fn: TestFunction = {
      name,
      received,
      answer: () => ({}),
      show: async (ready) => {
        const kv = await new Kvm(this.connection).open(endpointsBucket);
        const key = `default.${name}.${name}-m1`;
        if (ready) await kv.put(key, JSON.stringify(endpoint));
        else await kv.delete(key);
      },
    };
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString(), at: Date.now() };
      received.push(one);
      const { status = 200, headers = {}, body = '' } = await fn.answer(one, received.length);
      response.writeHead(status, headers).end(body);
    });
    this.#servers.push(server);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const concurrency = options.concurrency ?? 0;
    const endpoint = {
      machine: `${name}-m1`,
      revision: `${name}-v1`,
      address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
      state: 'ready',
      concurrency,
    };
    const routes = await new Kvm(this.connection).open(routesBucket);
    const route = {
      project: 'default',
      function: name,
      host: `${name}.localhost`,
      traffic: [{ revision: `${name}-v1`, percent: 100 }],
      timeout: 5000,
      concurrency,
      scale: { ...defaultScale, ...options.scale },
    };
    await routes.put(`default.${name}`, JSON.stringify(route));
    await fn.show(true);
    await this.setTriggers(name, triggers, options.delivery);
    return fn;
  }

  async setTriggers(name: string, triggers: string, delivery: Partial<DeliverySettings> = {}): Promise<void> {
    const manifest = parseManifest(`name: ${name}\ntriggers:\n${triggers}`);
    await this.order(SetTriggers, {
      project: 'default',
      function: name,
      triggers: manifest.triggers,
      delivery: { ...defaultDelivery, delay: 20, maxDelay: 50, ...delivery },
    });
  }

  /** Throws what the command failed with. */
  async order<C extends CommandType>(command: C, payload: PayloadOf<C>): Promise<PayloadOf<C['done']>> {
    const id = randomUUID();
    const ended = new Promise<PayloadOf<C['done']>>((resolve, reject) => {
      this.messenger.subscribe(command.done, id, (done) => resolve(done as PayloadOf<C['done']>));
      this.messenger.subscribe(command.failed, id, ({ code, message }) =>
        reject(new CestxError(code, message)),
      );
    });
    await this.messenger.send(command, id, payload);
    return ended;
  }

  async publish(
    topic: string,
    data: string,
    attributes: Record<string, string> = {},
    beside: Record<string, string> = {},
  ): Promise<string> {
    const id = attributes['id'] ?? randomUUID();
    const all = {
      specversion: '1.0',
      id,
      source: '/test',
      type: topic,
      datacontenttype: 'application/json',
      ...attributes,
    };
    const headers = Object.fromEntries(Object.entries(all).map(([name, value]) => [`ce-${name}`, value]));
    await this.streams.publish(`cestx.app.default.${topic}`, Buffer.from(data), {
      messageId: randomUUID(),
      headers: { ...headers, ...beside },
    });
    return id;
  }
}
