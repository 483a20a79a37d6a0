import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import Docker, { type ContainerInspectInfo } from 'dockerode';

import { CestxError } from '#contracts';
import type {
  Listener,
  MachineDriver,
  MachineExit,
  MachineLine,
  MachineSpec,
  MachineUsage,
  SeenMachine,
} from '../machine.driver.ts';
import { overlapStart, RecentLines, SeenLines } from '../seen-lines.ts';
import { cgroupsOf, usageIn } from './cgroup-files.ts';
import { LogFrames } from './container-log.ts';
import { containerName, containerOptions, containerPort, labels } from './container-options.ts';
import { listenersInNamespaceOf } from './proc-files.ts';

const network = 'cestx';

/** An engine from an address as `DOCKER_HOST` writes it. */
export function connectToEngine(host: string): Docker {
  if (host.startsWith('unix://')) return new Docker({ socketPath: host.slice('unix://'.length) });
  const url = new URL(host);
  return new Docker({ protocol: 'http', host: url.hostname, port: Number(url.port || 2375) });
}

/** Milliseconds an engine or a registry gets to answer at all. */
const engineTimeout = 2000;
const registryTimeout = 5000;

/**
 * Why functions cannot run in containers here, or null when an engine answers and has one of the images, or a registry has
 * one that may be pulled.
 */
export async function whyNoEngine(
  docker: Docker,
  { local, pullable }: { local: readonly string[]; pullable: readonly string[] },
): Promise<{ engine: boolean; reason: string } | null> {
  const version = await inTime(docker.version(), engineTimeout);
  if (!version) return { engine: false, reason: 'No container engine answers.' };
  for (const image of [...local, ...pullable])
    if (await inTime(docker.getImage(image).inspect(), engineTimeout)) return null;
  for (const image of pullable)
    if (await inTime(docker.getImage(image).distribution(), registryTimeout)) return null;
  return {
    engine: true,
    reason: `A container engine answers, but it has no base image (${[...local, ...pullable].join(', ')}) and cannot pull one; "npm run images" makes one.`,
  };
}

async function inTime<T>(call: Promise<T>, timeout: number): Promise<T | null> {
  const late = new AbortController();
  const answer = await Promise.race([
    call.catch(() => null),
    delay(timeout, null, { signal: late.signal }).catch(() => null),
  ]);
  late.abort();
  return answer;
}

function statusOf(error: unknown): number | null {
  return typeof error === 'object' && error !== null && 'statusCode' in error
    ? Number(error.statusCode)
    : null;
}

/** Runs an engine call; the listed HTTP statuses mean that things are already as they should be. */
async function settle<T>(call: Promise<T>, ...fine: number[]): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (fine.includes(statusOf(error) ?? 0)) return null;
    throw error;
  }
}

/** Machines as containers, each with every lock of `containerOptions`, on a bridge where none reaches another. */
export class DockerDriver implements MachineDriver {
  readonly name = 'docker';
  readonly warning = null;
  readonly port = containerPort;
  readonly #docker: Docker;
  readonly #house: string;
  readonly #listeners = new Set<(id: string) => void>();
  readonly #closing = new AbortController();
  #publish = false;

  constructor(options: { docker: Docker; house: string }) {
    this.#docker = options.docker;
    this.#house = options.house;
  }

  async open(): Promise<void> {
    const gateway = await this.#ensureNetwork();
    // The bridge is ours to dial when its gateway is one of our own addresses; an engine in a virtual machine or
    // on another host has it elsewhere, and then a published port on loopback must do.
    this.#publish = gateway === undefined || !(await isOwnAddress(gateway));
    void this.#watchExits();
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #ensureNetwork(): Promise<string | undefined> {
    const present = await settle(this.#docker.getNetwork(network).inspect(), 404);
    if (!present) {
      await settle(
        this.#docker.createNetwork({
          Name: network,
          Driver: 'bridge',
          Options: { 'com.docker.network.bridge.enable_icc': 'false' },
          Labels: { 'cestx.network': 'functions' },
        }),
        409,
      );
    }
    const info = await this.#docker.getNetwork(network).inspect();
    if (info.Options?.['com.docker.network.bridge.enable_icc'] !== 'false')
      throw new CestxError(
        'no-driver',
        `The container network "${network}" lets functions reach each other; remove it (docker network rm ${network}) and start again.`,
      );
    return info.IPAM?.Config?.[0]?.Gateway;
  }

  async create(spec: MachineSpec): Promise<void> {
    if (spec.artifact.kind !== 'image')
      throw new CestxError(
        'start-failed',
        'This revision was built for processes; deploy it again to run it in a container.',
      );
    const image = await settle(this.#docker.getImage(spec.artifact.image).inspect(), 404);
    if (!image)
      throw new CestxError(
        'start-failed',
        `The image ${spec.artifact.image} is not there any more; deploy the function again.`,
      );
    const options = containerOptions(spec, {
      id: this.#house,
      network,
      publish: this.#publish,
      imageUser: image.Config?.User,
    });
    try {
      await settle(this.#docker.createContainer(options), 409);
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      // Somebody removed the network under us.
      await this.#ensureNetwork();
      await this.#docker.createContainer(options);
    }
  }

  async start(id: string): Promise<void> {
    await settle(this.#container(id).start(), 304);
  }

  freeze(id: string): Promise<void> {
    return this.#setFrozen(id, true);
  }

  thaw(id: string): Promise<void> {
    return this.#setFrozen(id, false);
  }

  /** The engine's own answer cannot be trusted right after the opposite call: read, try, read again. */
  async #setFrozen(id: string, wanted: boolean): Promise<void> {
    let last: unknown = null;
    for (let attempt = 0; attempt < 50; attempt++) {
      const info = await this.#inspect(id);
      if (!info?.State.Running) throw new CestxError('conflict', `The machine ${id} is not running.`);
      if (info.State.Paused === wanted) return;
      const container = this.#container(id);
      last = await (wanted ? container.pause() : container.unpause()).catch((error: unknown) => error);
      await delay(attempt === 0 ? 0 : 20);
    }
    throw new CestxError(
      'unavailable',
      `The container engine does not ${wanted ? 'freeze' : 'thaw'} the machine ${id}.`,
      {
        retryable: true,
        cause: last,
      },
    );
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const info = await this.#inspect(id);
    if (!info?.State.Running) return;
    if (info.State.Paused) await this.thaw(id);
    await settle(this.#container(id).stop({ t: Math.ceil(graceMs / 1000) }), 304, 404);
  }

  async remove(id: string): Promise<void> {
    for (;;) {
      // 409: a removal is under way already; it is over when the container is gone.
      const container = this.#container(id);
      await settle(container.remove({ force: true, v: true }), 404, 409);
      if (!(await settle(container.inspect(), 404))) return;
      await delay(50);
    }
  }

  async inspect(id: string): Promise<SeenMachine | null> {
    const info = await this.#inspect(id);
    return info && this.#seen(info);
  }

  async list(): Promise<SeenMachine[]> {
    const containers = await this.#docker.listContainers({
      all: true,
      filters: { label: [`${labels.house}=${this.#house}`] },
    });
    const seen = await Promise.all(
      containers.map(({ Labels }) => this.inspect(Labels[labels.machine] ?? '')),
    );
    return seen.filter((machine) => machine !== null);
  }

  async stats(id: string): Promise<MachineUsage | null> {
    const info = await this.#inspect(id);
    if (!info?.State.Running) return null;
    const cgroups = await cgroupsOf(info.State.Pid);
    return cgroups && usageIn(cgroups);
  }

  async listeners(id: string): Promise<Listener[] | null> {
    const info = await this.#inspect(id);
    return info?.State.Running ? listenersInNamespaceOf(info.State.Pid) : [];
  }

  async *logs(id: string, seen: readonly MachineLine[], signal: AbortSignal): AsyncIterable<MachineLine[]> {
    const recent = new RecentLines(seen);
    for (;;) {
      const before = await this.#inspect(id);
      if (!before || signal.aborted) return;
      const filter = new SeenLines(recent.lines);
      for await (const batch of this.#readLog(id, recent.lines, before.State.Running, signal)) {
        const lines = batch.filter((line) => filter.admit(line));
        if (lines.length === 0) continue;
        yield lines;
        recent.push(...lines);
      }
      // A follower may be let go a moment before the last lines are written, so the end is read once more.
      if (!before.State.Running) return;
    }
  }

  async *#readLog(
    id: string,
    seen: readonly MachineLine[],
    follow: boolean,
    signal: AbortSignal,
  ): AsyncIterable<MachineLine[]> {
    const start = overlapStart(seen);
    const since = start ? { since: String(Date.parse(`${start}Z`) / 1000) } : {};
    const options = { stdout: true, stderr: true, timestamps: true, abortSignal: signal, ...since };
    const container = this.#container(id);
    const frames = new LogFrames();
    if (!follow) {
      const all = await settle(container.logs({ ...options, follow: false }), 404);
      if (all) yield frames.push(all);
      return;
    }
    const stream = await settle(container.logs({ ...options, follow: true }), 404).catch(
      endsWhenAborted(signal),
    );
    if (!(stream instanceof Readable)) return;
    const end = (): void => void stream.destroy();
    signal.addEventListener('abort', end, { once: true });
    try {
      for await (const chunk of stream) yield frames.push(chunk as Buffer);
    } catch (error) {
      endsWhenAborted(signal)(error);
    } finally {
      signal.removeEventListener('abort', end);
      stream.destroy();
    }
  }

  onExit(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The engine tells of ended containers at once; while it is away, the room's own loop sees them later. */
  async #watchExits(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        const stream = (await this.#docker.getEvents({
          filters: { type: ['container'], event: ['die'], label: [`${labels.house}=${this.#house}`] },
          abortSignal: this.#closing.signal,
        })) as Readable;
        let rest = '';
        for await (const chunk of stream) {
          const parts = (rest + String(chunk)).split('\n');
          rest = parts.pop() ?? '';
          for (const part of parts) this.#tellExit(part);
        }
      } catch {
        // Told by whoever needs the engine next.
      }
      await delay(1000, null, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  #tellExit(json: string): void {
    const event = JSON.parse(json) as { Actor?: { Attributes?: Record<string, string> } };
    const id = event.Actor?.Attributes?.[labels.machine];
    if (id) for (const listener of this.#listeners) listener(id);
  }

  #container(id: string): Docker.Container {
    return this.#docker.getContainer(containerName(id));
  }

  async #inspect(id: string): Promise<ContainerInspectInfo | null> {
    const info = await settle(this.#container(id).inspect(), 404);
    if (info && info.Config.Labels[labels.house] !== this.#house)
      throw new CestxError(
        'conflict',
        `The container ${containerName(id)} belongs to another CestX on this engine.`,
      );
    return info;
  }

  #seen(info: ContainerInspectInfo): SeenMachine {
    const { Running, Paused, Status } = info.State;
    const state = Running ? (Paused ? 'frozen' : 'running') : Status === 'created' ? 'created' : 'exited';
    const id = info.Config.Labels[labels.machine] ?? '';
    return { id, state, address: Running ? this.#addressOf(info) : null, exit: exitOf(info) };
  }

  #addressOf(info: ContainerInspectInfo): string | null {
    if (this.#publish) {
      const port = info.NetworkSettings.Ports[`${containerPort}/tcp`]?.[0]?.HostPort;
      return port ? `127.0.0.1:${port}` : null;
    }
    const ip = info.NetworkSettings.Networks[network]?.IPAddress;
    return ip ? `${ip}:${containerPort}` : null;
  }
}

function exitOf(info: ContainerInspectInfo): MachineExit | null {
  const { Running, Status, OOMKilled, ExitCode, Error: error } = info.State;
  if (Running || Status === 'created') return null;
  const memory = Math.round((info.HostConfig.Memory ?? 0) / 1024 ** 2);
  const reason = OOMKilled
    ? `was killed for using more than its ${memory} MiB of memory`
    : error
      ? `could not be started: ${error}`
      : ExitCode > 128
        ? `was ended by signal ${ExitCode - 128}`
        : `exited with code ${ExitCode}`;
  return { code: ExitCode, reason, portTaken: false, withPlatform: false };
}

/** An aborted call ends with nothing instead of an error. */
function endsWhenAborted(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}

/** Asked by binding to it: a bridge without containers has no carrier, and lists of interfaces leave it out. */
function isOwnAddress(host: string): Promise<boolean> {
  return new Promise((answer) => {
    const server = createServer();
    server.once('error', () => answer(false));
    server.listen({ host, port: 0 }, () => server.close(() => answer(true)));
  });
}
