import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';

import { CestxError, type Artifact, type Registry } from '#contracts';
import type {
  Listener,
  MachineDriver,
  MachineLine,
  MachineSpec,
  MachineUsage,
  SeenMachine,
} from '../machine.driver.ts';
import { overlapStart, RecentLines, SeenLines } from '../seen-lines.ts';
import { cgroupsOfContainer, usageIn } from './cgroup-files.ts';
import { watchExits } from './container-exits.ts';
import { LogFrames } from './container-log.ts';
import { ensureClosedNetwork, ensureOpenNetwork, type OpenNetwork } from './container-networks.ts';
import { containerName, containerOptions, containerPort, labels } from './container-options.ts';
import { seenByEngine, usageByEngine } from './container-state.ts';
import {
  answer,
  connectToEngine,
  engineAway,
  questionTimeout,
  settle,
  statusOf,
  workTimeout,
} from './engine.ts';
import { isFrozen, setFrozen } from './freezer.ts';
import { listenersInNamespaceOf } from './proc-files.ts';
import { pullImage } from './pull-image.ts';
import { isAlive, runningHere, type RunningHere } from './running-here.ts';
import { Runtimes } from './runtimes.ts';

type ImageArtifact = Extract<Artifact, { kind: 'image' }>;

/** Containers the engine is asked about at a time. */
const maxQuestions = 16;

/**
 * Machines as containers, each with every lock of `containerOptions`, on a bridge where none reaches another.
 *
 * 1. What runs on this host is looked at, measured and frozen through the kernel's files, without the engine: faster, and
 *    true also while the engine is away. Elsewhere the engine does it all.
 * 2. The engine does not know that a machine is frozen directly. It cannot end one then (cgroup v1 keeps even SIGKILL
 *    waiting), so whoever stops or removes one lets it go before, and when the engine is lost all are let go and none is
 *    frozen until it is back: it ends what it finds, and waits long for the frozen (crun leaves them as they are).
 */
export class DockerDriver implements MachineDriver {
  readonly name = 'docker';
  readonly warning = null;
  readonly port = containerPort;
  readonly #host: string;
  readonly #house: string;
  readonly #questions: Docker;
  readonly #work: Docker;
  readonly #streams: Docker;
  readonly #runtimes: Runtimes;
  readonly #registry: Registry | null;
  readonly #listeners = new Set<(id: string) => void>();
  readonly #closing = new AbortController();
  readonly #running = new Map<string, RunningHere>();
  /** How machines ended that were not started since. */
  readonly #exited = new Map<string, SeenMachine>();
  readonly #imageUsers = new Map<string, string | undefined>();
  /** What ran when the engine was lost: if one of them has ended when it is back, that was the engine's doing. */
  readonly #ranWhenLost = new Set<string>();
  #lost = false;
  #network: OpenNetwork = { name: '', publish: false };

  /** `host` as `DOCKER_HOST` writes it. */
  constructor(options: { host: string; house: string; registry?: Registry | null }) {
    this.#host = options.host;
    this.#registry = options.registry ?? null;
    this.#house = options.house;
    this.#questions = connectToEngine(options.host, questionTimeout);
    this.#work = connectToEngine(options.host, workTimeout);
    this.#streams = connectToEngine(options.host);
    this.#runtimes = new Runtimes(this.#questions);
  }

  async open(): Promise<void> {
    this.#network = await ensureOpenNetwork(this.#work);
    // So that those of an earlier life are known should the engine be lost.
    await this.list();
    void watchExits(
      this.#streams,
      this.#house,
      {
        ended: (id) => this.#tell(id),
        connected: async () => {
          for (const { id, state } of await this.list())
            if (state === 'exited') this.#tell(id);
            else this.#ranWhenLost.delete(id);
          this.#lost = false;
        },
        lost: () => {
          this.#lost = true;
          return this.#letGoOfAll();
        },
      },
      this.#closing.signal,
    );
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }

  async #letGoOfAll(): Promise<void> {
    await Promise.all(
      [...this.#running].map(([id, { cgroups }]) => {
        this.#ranWhenLost.add(id);
        return setFrozen(cgroups, false);
      }),
    );
  }

  async create(spec: MachineSpec): Promise<void> {
    if (spec.artifact.kind !== 'image')
      throw new CestxError(
        'start-failed',
        'This revision was built for processes; deploy it again to run it in a container.',
      );
    if (!spec.resources.network && this.#network.publish)
      throw new CestxError(
        'start-failed',
        'network: false needs a container engine on this host; this one could not call the function either.',
      );
    const { artifact } = spec;
    if (spec.runtime) await this.#runtimes.require(spec.runtime);
    if (!spec.resources.network) await ensureClosedNetwork(this.#work);
    const options = containerOptions(spec, {
      id: this.#house,
      network: this.#network,
      imageUser: await this.#userOf(artifact),
    });
    try {
      await settle(this.#work.createContainer(options), 409);
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
      // Somebody removed the image, or the network under us.
      this.#imageUsers.delete(artifact.image);
      await this.#userOf(artifact);
      await ensureOpenNetwork(this.#work);
      await settle(this.#work.createContainer(options), 409);
    }
  }

  /** The user an image names; asked once, for an image is what its digest says. One that is not here is pulled. */
  async #userOf({ image, reference }: ImageArtifact): Promise<string | undefined> {
    if (this.#imageUsers.has(image)) return this.#imageUsers.get(image);
    const here = await settle(this.#questions.getImage(image).inspect(), 404);
    if (!here && reference === undefined)
      throw new CestxError(
        'start-failed',
        `The image ${image} is not there any more; deploy the function again.`,
      );
    const info =
      here ?? (await pullImage(this.#streams, { image, reference: reference ?? '' }, this.#registry));
    const user = info.Config?.User;
    if (image.startsWith('sha256:')) this.#imageUsers.set(image, user);
    return user;
  }

  async start(id: string): Promise<void> {
    this.#exited.delete(id);
    this.#ranWhenLost.delete(id);
    await settle(this.#container(id, this.#work).start(), 304);
  }

  freeze(id: string): Promise<void> {
    return this.#setFrozen(id, true);
  }

  thaw(id: string): Promise<void> {
    return this.#setFrozen(id, false);
  }

  async #setFrozen(id: string, wanted: boolean): Promise<void> {
    if (!(await this.#runningHere(id))) await this.inspect(id);
    const here = this.#running.get(id);
    if (here && wanted) await this.#unlessLost();
    if (here && (await setFrozen(here.cgroups, wanted)) === 'done') {
      // Whoever let go of all may have been a moment too early for this one.
      if (wanted) await this.#unlessLost(() => setFrozen(here.cgroups, false));
      return;
    }
    this.#running.delete(id);
    await this.#setFrozenByEngine(id, wanted);
  }

  async #unlessLost(undo?: () => Promise<unknown>): Promise<void> {
    if (!this.#lost) return;
    await undo?.();
    throw engineAway();
  }

  /** The engine's own answer cannot be trusted right after the opposite call: read, try, read again. */
  async #setFrozenByEngine(id: string, wanted: boolean): Promise<void> {
    let last: unknown = null;
    for (let attempt = 0; attempt < 50; attempt++) {
      const info = await this.#inspect(id);
      if (!info?.State.Running) throw new CestxError('conflict', `The machine ${id} is not running.`);
      if (info.State.Paused === wanted) return;
      const container = this.#container(id, this.#work);
      last = await (wanted ? container.pause() : container.unpause()).catch((error: unknown) => error);
      await delay(attempt === 0 ? 0 : 20);
    }
    throw new CestxError(
      'unavailable',
      `The container engine does not ${wanted ? 'freeze' : 'thaw'} the machine ${id}.`,
      { retryable: true, cause: last },
    );
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const seen = await this.inspect(id);
    if (seen?.state !== 'running' && seen?.state !== 'frozen') return;
    if (seen.state === 'frozen') await this.thaw(id);
    const engine = connectToEngine(this.#host, graceMs + workTimeout);
    await settle(this.#container(id, engine).stop({ t: Math.ceil(graceMs / 1000) }), 304, 404);
  }

  async remove(id: string): Promise<void> {
    const seen = await this.inspect(id);
    if (seen?.state === 'frozen')
      await this.thaw(id).catch((error: unknown) => {
        if (!(error instanceof CestxError && error.code === 'conflict')) throw error;
      });
    for (;;) {
      // 409: a removal is under way already; it is over when the container is gone.
      await settle(this.#container(id, this.#work).remove({ force: true, v: true }), 404, 409);
      if (!(await settle(this.#container(id, this.#questions).inspect(), 404))) break;
      await delay(50);
    }
    this.#running.delete(id);
    this.#exited.delete(id);
    this.#ranWhenLost.delete(id);
  }

  async inspect(id: string): Promise<SeenMachine | null> {
    const here = await this.#runningHere(id);
    if (here) return seenHere(id, here);
    const info = await this.#inspect(id);
    if (!info) return null;
    const seen = seenByEngine(info, this.#network.publish, this.#ranWhenLost.has(id));
    if (seen.state === 'exited') this.#exited.set(id, seen);
    if (seen.state !== 'running') return seen;
    const found = await runningHere(info, seen.address);
    if (!found) return seen;
    this.#running.set(id, found);
    return seenHere(id, found);
  }

  /** What is known of it, as long as its first process is alive. */
  async #runningHere(id: string): Promise<RunningHere | null> {
    const here = this.#running.get(id);
    if (here && (await isAlive(here))) return here;
    this.#running.delete(id);
    return null;
  }

  /** One call for all; only those that are news are asked about one by one. */
  async list(): Promise<SeenMachine[]> {
    const containers = await answer(
      this.#questions.listContainers({
        all: true,
        filters: { label: [`${labels.house}=${this.#house}`] },
      }),
    );
    const found: SeenMachine[] = [];
    for (let at = 0; at < containers.length; at += maxQuestions)
      found.push(
        ...(
          await Promise.all(
            containers.slice(at, at + maxQuestions).map(async ({ Labels, State }) => {
              const id = Labels[labels.machine] ?? '';
              if (State === 'created') return { id, state: State, address: null, exit: null } as const;
              return (State === 'exited' && this.#exited.get(id)) || (await this.inspect(id));
            }),
          )
        ).filter((machine) => machine !== null),
      );
    return found;
  }

  async stats(id: string): Promise<MachineUsage | null> {
    const here = await this.#runningHere(id);
    if (here) return usageIn(here.cgroups);
    const info = await this.#inspect(id);
    if (!info?.State.Running) return null;
    const cgroups = await cgroupsOfContainer(info.State.Pid, info.Id);
    return cgroups ? usageIn(cgroups) : usageByEngine(this.#container(id, this.#questions));
  }

  async listeners(id: string): Promise<Listener[] | null> {
    const here = await this.#runningHere(id);
    if (here) return listenersInNamespaceOf(here.pid);
    const info = await this.#inspect(id);
    return info?.State.Running ? listenersInNamespaceOf(info.State.Pid) : [];
  }

  async *logs(id: string, seen: readonly MachineLine[], signal: AbortSignal): AsyncIterable<MachineLine[]> {
    const recent = new RecentLines(seen);
    for (;;) {
      const before = await this.inspect(id);
      if (!before || signal.aborted) return;
      const follow = before.state === 'running' || before.state === 'frozen';
      const filter = new SeenLines(recent.lines);
      for await (const batch of this.#readLog(id, recent.lines, follow, signal)) {
        const lines = batch.filter((line) => filter.admit(line));
        if (lines.length === 0) continue;
        yield lines;
        recent.push(...lines);
      }
      // A follower may be let go a moment before the last lines are written, so the end is read once more.
      if (!follow) return;
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
    const container = this.#container(id, this.#streams);
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

  #container(id: string, engine: Docker): Docker.Container {
    return engine.getContainer(containerName(id));
  }

  async #inspect(id: string): Promise<ContainerInspectInfo | null> {
    const info = await settle(this.#container(id, this.#questions).inspect(), 404);
    if (info && info.Config.Labels[labels.house] !== this.#house)
      throw new CestxError(
        'conflict',
        `The container ${containerName(id)} belongs to another CestX on this engine.`,
      );
    return info;
  }
}

async function seenHere(id: string, { cgroups, address }: RunningHere): Promise<SeenMachine> {
  return { id, state: (await isFrozen(cgroups)) ? 'frozen' : 'running', address, exit: null };
}

/** An aborted call ends with nothing instead of an error. */
function endsWhenAborted(signal: AbortSignal): (error: unknown) => null {
  return (error) => {
    if (signal.aborted) return null;
    throw error;
  };
}
