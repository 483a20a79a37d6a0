import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createClient, type Client } from '#client';
import { rooms, type Room } from '#contracts';
import { dockerAvailable, eventually, freePort, startTestServers, type TestServers } from '#testing';

import { startPlatformProcess, type PlatformProcess } from './child.ts';

export interface HouseKind {
  mode: 'all-in-one' | 'rooms';
  driver: 'process' | 'docker';
}

/** Every kind this machine can run; CESTX_E2E_MODE and CESTX_E2E_DRIVER narrow it. */
export const everyHouse: HouseKind[] = (['all-in-one', 'rooms'] as const)
  .filter((mode) => (process.env['CESTX_E2E_MODE'] ?? mode) === mode)
  .flatMap((mode) =>
    (['process', 'docker'] as const)
      .filter((driver) => (process.env['CESTX_E2E_DRIVER'] ?? driver) === driver)
      .filter((driver) => driver === 'process' || dockerAvailable())
      .map((driver) => ({ mode, driver })),
  );

/**
 * Each mode once and, where both are here, each driver once: all-in-one with processes, rooms with Docker.
 * CESTX_E2E=full runs every story in every house.
 */
export const houseKinds: HouseKind[] =
  process.env['CESTX_E2E'] === 'full' || process.env['CESTX_E2E_MODE'] || process.env['CESTX_E2E_DRIVER']
    ? everyHouse
    : everyHouse.filter(({ mode, driver }) =>
        dockerAvailable() ? (mode === 'rooms') === (driver === 'docker') : driver === 'process',
      );

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** A whole platform of its own: fresh data, free ports, real servers, real processes. */
export class House {
  readonly kind: HouseKind;
  readonly folder: string;
  readonly port: number;
  readonly dnsPort: number;
  readonly servers: TestServers | null;
  readonly #processes = new Map<string, PlatformProcess>();
  #key = '';
  #environment: Record<string, string> = {};

  private constructor(
    kind: HouseKind,
    folder: string,
    port: number,
    dnsPort: number,
    servers: TestServers | null,
  ) {
    this.kind = kind;
    this.folder = folder;
    this.port = port;
    this.dnsPort = dnsPort;
    this.servers = servers;
  }

  /** `environment` is what its processes get besides what every house has. */
  static async start(
    kind: HouseKind,
    options: { failpoints?: string; environment?: Record<string, string> } = {},
  ): Promise<House> {
    const folder = await mkdtemp(join(tmpdir(), 'cestx-e2e-'));
    // PostgreSQL runs as somebody else and has to reach its data.
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'data'));
    const servers = kind.mode === 'rooms' ? await startTestServers() : null;
    const house = new House(kind, folder, await freePort(), await freePort(), servers);
    house.#environment = options.environment ?? {};
    try {
      await house.startMissing(options);
    } catch (error) {
      await house.stop().catch(() => undefined);
      throw error;
    }
    return house;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get key(): string {
    return this.#key;
  }

  get data(): string {
    return join(this.folder, 'data');
  }

  /** Where nats-server and PostgreSQL keep theirs. */
  get serverData(): string {
    return this.servers?.dataDir ?? this.data;
  }

  get client(): Client {
    return createClient({ url: this.url, key: this.#key });
  }

  /** Starts whatever does not run and waits until the gateway says that every room can work. */
  async startMissing(options: { failpoints?: string } = {}): Promise<void> {
    const missing = this.#names().filter((name) => !this.#processes.get(name)?.isRunning());
    await Promise.all(missing.map((name) => this.#startOne(name, options.failpoints ?? '')));
    if (options.failpoints) return;
    await this.ready();
  }

  async ready(): Promise<void> {
    await eventually(async () => (await fetch(`${this.url}/readyz`)).ok, { timeoutMs: 60_000, everyMs: 50 });
    this.#key = (await readFile(join(this.data, 'admin-key'), 'utf8')).trim();
  }

  process(room: Room): PlatformProcess {
    const name = this.kind.mode === 'rooms' ? room : 'all-in-one';
    const found = this.#processes.get(name);
    if (!found) throw new Error(`${name} was never started`);
    return found;
  }

  /** Ends the process a room lives in as gently as SIGTERM does, and starts it with other failpoints. */
  async restart(room: Room, options: { failpoints?: string } = {}): Promise<void> {
    const name = this.kind.mode === 'rooms' ? room : 'all-in-one';
    await this.#processes.get(name)?.stop();
    await this.#startOne(name, options.failpoints ?? '');
    await this.ready();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
    await this.servers?.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A call the way a stranger makes it. */
  call(
    path: string,
    options: { host?: string; method?: string; body?: string; headers?: Record<string, string> } = {},
  ) {
    return new Promise<Answer>((answered, failed) => {
      const call = request({
        host: '127.0.0.1',
        port: this.port,
        path,
        method: options.method ?? (options.body === undefined ? 'GET' : 'POST'),
        headers: { ...(options.host ? { host: options.host } : {}), ...options.headers },
        agent: false,
      });
      call.on('error', failed);
      call.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', failed);
        response.on('end', () =>
          answered({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      });
      call.end(options.body);
    });
  }

  #names(): string[] {
    return this.kind.mode === 'rooms' ? [...rooms] : ['all-in-one'];
  }

  async #startOne(name: string, failpoints: string): Promise<void> {
    const servers = this.servers;
    const environment: Record<string, string> = {
      CESTX_DATA: this.data,
      CESTX_PORT: String(this.port),
      CESTX_DNS_PORT: String(this.dnsPort),
      CESTX_DOMAIN: 'localhost',
      CESTX_DRIVER: this.kind.driver,
      CESTX_ADMIN_KEY_FILE: join(this.data, 'admin-key'),
      CESTX_FAILPOINTS: failpoints,
      CESTX_SAMPLE_MS: '500',
      ...this.#environment,
    };
    if (servers) {
      environment['NATS_URL'] = servers.natsUrl;
      environment['DATABASE_URL'] = await servers.databaseUrl(name);
    }
    const started = await startPlatformProcess({
      name,
      main: `dist/apps/${name}/src/main.js`,
      environment,
      logFile: join(this.folder, `${name}.log`),
      mayDie: failpoints !== '',
    });
    this.#processes.set(name, started);
  }
}
