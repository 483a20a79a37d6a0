import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request, Server, type IncomingMessage, type RequestListener } from 'node:http';
import { connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { startRoom } from '#boot';
import {
  CestxError,
  defaultScale,
  endpointsBucket,
  inFlightResponseSchema,
  inFlightSubject,
  routesBucket,
  subjectOf,
  WakeFunction,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import { connectNats, Messenger, Publisher } from '#messaging';
import { eventually, freePort, startTestServers } from '#testing';
import { headers as natsHeaders } from '@nats-io/transport-node';

import { gatewayRoom } from './gateway.module.ts';

export interface Answer {
  status: number;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface FunctionSettings {
  timeout?: number;
  concurrency?: number;
  max?: number;
  machine?: string;
  state?: 'ready' | 'draining' | 'absent';
}

type WakeRequest = RequestOf<typeof WakeFunction>;
type WakeAnswer = ResponseOf<typeof WakeFunction>;

/** A gateway with real servers behind it; functions are HTTP servers of the test, announced as their rooms would. */
export class GatewayRoom {
  readonly servers;
  readonly nats;
  readonly port: number;
  readonly key: string;
  readonly folder: string;
  private readonly room;
  private readonly running: NetServer[] = [];
  private readonly opened = new Set<string>();
  private stopAnswering: (() => void)[] = [];

  static async start(environment: Record<string, string> = {}): Promise<GatewayRoom> {
    const servers = await startTestServers();
    const folder = await mkdtemp(join(tmpdir(), 'cestx-gateway-'));
    const port = await freePort();
    const room = await startRoom(gatewayRoom, {
      NATS_URL: servers.natsUrl,
      DATABASE_URL: await servers.databaseUrl('gateway'),
      CESTX_HOST: '127.0.0.1',
      CESTX_PORT: String(port),
      CESTX_ADMIN_KEY_FILE: join(folder, 'admin-key'),
      CESTX_LOG_LEVEL: 'silent',
      ...environment,
    });
    const nats = await connectNats(servers.natsUrl, 'gateway-spec');
    const key = (await readFile(join(folder, 'admin-key'), 'utf8')).trim();
    return new GatewayRoom({ servers, folder, port, room, nats, key });
  }

  private constructor(parts: {
    servers: Awaited<ReturnType<typeof startTestServers>>;
    folder: string;
    port: number;
    room: Awaited<ReturnType<typeof startRoom>>;
    nats: Awaited<ReturnType<typeof connectNats>>;
    key: string;
  }) {
    this.servers = parts.servers;
    this.folder = parts.folder;
    this.port = parts.port;
    this.room = parts.room;
    this.nats = parts.nats;
    this.key = parts.key;
  }

  async stop(): Promise<void> {
    await this.room.stop();
    await this.nats.close();
    await this.servers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Takes away the functions of one test. */
  async clear(): Promise<void> {
    for (const stop of this.stopAnswering.splice(0)) stop();
    for (const entry of this.opened) await this.remove(entry);
    this.opened.clear();
    for (const server of this.running.splice(0)) {
      if (server instanceof Server) server.closeAllConnections();
      server.close();
    }
  }

  put(bucket: string, entry: string, value: object): void {
    this.nats.publish(`$KV.${bucket}.${entry}`, JSON.stringify(value));
    this.opened.add(`${bucket}.${entry}`);
  }

  async remove(entry: string): Promise<void> {
    await new Publisher(this.nats).publish(`$KV.${entry}`, '', { headers: { 'KV-Operation': 'DEL' } });
  }

  /** Listens somewhere, unknown to the gateway; resolves to its address. */
  async listen(server: NetServer): Promise<string> {
    this.running.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** A function of one machine, reachable once this resolves. */
  async serveFunction(
    name: string,
    listener: RequestListener,
    settings: FunctionSettings = {},
  ): Promise<Server> {
    const server = createServer(listener);
    this.announce(name, await this.listen(server), settings);
    await eventually(async () => (await this.inFlight(name, settings.machine ?? 'm1'))[0]?.open);
    await this.known(name);
    return server;
  }

  /** Resolves when the gateway knows the route of the function. */
  async known(name: string): Promise<void> {
    const bytes = `POST /function/${name} HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n`;
    await eventually(async () => !(await this.raw(bytes, (got) => got.endsWith('}'))).includes(' 404 '));
  }

  announce(name: string, address: string, settings: FunctionSettings = {}): void {
    const { timeout = 5000, concurrency = 0, machine = 'm1', state = 'ready', max = 1 } = settings;
    const revision = `${name}-v1`;
    this.put(routesBucket, `default.${name}`, {
      project: 'default',
      function: name,
      host: `${name}.localhost`,
      traffic: [{ revision, percent: 100 }],
      timeout,
      concurrency,
      scale: { ...defaultScale, max },
    });
    if (state === 'absent') return;
    this.put(endpointsBucket, `default.${name}.${machine}`, {
      machine,
      revision,
      address,
      state,
      concurrency,
    });
  }

  /** Answers wakes as the machines room does; `answer` throws a CestxError for one that fails. */
  answerWakes(answer: (request: WakeRequest) => WakeAnswer | Promise<WakeAnswer>): void {
    const subscription = this.nats.subscribe(subjectOf(WakeFunction), {
      callback: (_error, message) => {
        void (async () => {
          try {
            message.respond(JSON.stringify(await answer(message.json<WakeRequest>())));
          } catch (error) {
            if (!(error instanceof CestxError)) throw error;
            const headers = natsHeaders();
            headers.set('Nats-Service-Error-Code', '503');
            headers.set('Nats-Service-Error', error.code);
            message.respond(JSON.stringify(error.toFailure()), { headers });
          }
        })();
      },
    });
    this.stopAnswering.push(() => subscription.unsubscribe());
  }

  inFlight(name: string, machine: string): Promise<{ calls: number; open: boolean }[]> {
    const asked = { project: 'default', function: name, machine };
    return this.messenger.askAll(inFlightSubject, asked, inFlightResponseSchema, { waitMs: 500 });
  }

  get messenger(): Messenger {
    return new Messenger(this.nats, new Publisher(this.nats));
  }

  call(
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { method = options.body === undefined ? 'GET' : 'POST', headers = {}, body } = options;
      const where = { host: '127.0.0.1', port: this.port, path, method, headers, agent: false as const };
      const sent = request(where, (answer) => {
        text(answer).then(
          (all) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: all }),
          reject,
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Sends bytes as they are and gives back all that came until the connection ended, or `until` is content. */
  raw(
    bytes: string,
    until?: (received: string) => boolean,
    opened?: (socket: Socket) => void,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      let received = '';
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
      socket.setTimeout(10_000, () => socket.destroy(new Error(`no end; so far: ${received}`)));
      socket.on('data', (chunk) => {
        received += chunk.toString('latin1');
        if (until?.(received)) socket.destroy();
      });
      // Who closes while we still write resets the connection; what came before that is what counts.
      socket.on('error', (error) => (received ? resolve(received) : reject(error)));
      socket.on('close', () => resolve(received));
      opened?.(socket);
    });
  }
}
