import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, open, readdir, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { CestxError } from '#contracts';
import type {
  Listener,
  MachineDriver,
  MachineLine,
  MachineSpec,
  MachineUsage,
  SeenMachine,
} from '../machine.driver.ts';
import { SeenLines } from '../seen-lines.ts';
import { usageIn } from './cgroup-files.ts';
import { CgroupHome } from './cgroup-home.ts';
import { setFrozen } from './freezer.ts';
import { listenersOf, pidsOfGroup, pidsWithEnvironment, startTimeOf, usageOf } from './proc-files.ts';
import { killGroup, killOne } from './kill-process.ts';
import { pickPort } from './pick-port.ts';
import { launchWords, nobody, othersCanEnter } from './process-launch.ts';
import { logFile, ProcessLog } from './process-log.ts';
import { ProcessReaper } from './process-reaper.ts';
import { endOfErrors, readRecord, seen, writeRecord, type ProcessRecord } from './process-record.ts';

interface Live {
  kept: ProcessRecord;
  readonly log: ProcessLog;
  /** Resolves when the present program and all it started have ended. */
  ended: Promise<void>;
}

/** Machines as plain processes: for development, where there is no container engine. */
export class ProcessDriver implements MachineDriver {
  readonly name = 'process';
  readonly port = null;
  readonly #folder: string;
  readonly #path: string;
  readonly #house: string;
  readonly #machines = new Map<string, Live>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #reaper = new ProcessReaper();
  #cgroups: CgroupHome | null = null;
  #asNobody = false;
  #capTimer: NodeJS.Timeout | null = null;
  #warnings: string[] = [];

  /** `path` is where programs are looked for; `house` keeps the cgroups of several platforms apart. */
  constructor(options: { folder: string; path: string; house: string }) {
    this.#folder = resolve(options.folder);
    this.#path = options.path;
    this.#house = options.house;
  }

  get warning(): string {
    return [
      'Functions run as plain processes: they are not isolated from this machine, its network or each other. For development only.',
      ...this.#warnings,
    ].join(' ');
  }

  async open(): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    for (const tool of ['setpriv', 'prlimit'])
      await promisify(execFile)(tool, ['--version'], { env: { PATH: this.#path } }).catch(() => {
        throw new CestxError(
          'no-driver',
          `Processes need "${tool}" (Debian package util-linux), which is not here.`,
        );
      });
    this.#cgroups = await CgroupHome.find(`cestx-${this.#house}`);
    const missing = (['cpu', 'memory', 'pids'] as const).filter(
      (name) => !this.#cgroups?.limited.includes(name),
    );
    this.#warnings.push(`Not limited here: ${[...missing, 'size of /tmp', 'network'].join(', ')}.`);
    if (process.getuid?.() === 0) {
      this.#asNobody = await othersCanEnter(this.#folder);
      if (!this.#asNobody)
        this.#warnings.push(
          `They run as root, because others may not enter ${this.#folder}; choose another data folder.`,
        );
    }
    this.#reaper.open();
    for (const id of await readdir(this.#folder)) await this.#recall(id);
    await this.#cgroups?.sweep();
    this.#capTimer = setInterval(() => {
      for (const { log, kept } of this.#machines.values())
        if (kept.state === 'running') void log.enforceCap().catch(() => undefined);
    }, 1000).unref();
  }

  /** Processes cannot outlive us: whoever wants them ended well has stopped them before. */
  async close(): Promise<void> {
    if (this.#capTimer) clearInterval(this.#capTimer);
    await Promise.all([...this.#machines.keys()].map((id) => this.stop(id, 0)));
    this.#reaper.close();
    await this.#cgroups?.close();
  }

  /** A machine of an earlier life: whatever of it still runs has lost its parent, and is ended. */
  async #recall(id: string): Promise<void> {
    const kept = await readRecord(join(this.#folder, id));
    // Killed in the middle of `create`: nothing was started yet.
    if (kept === null) return rm(join(this.#folder, id), { recursive: true, force: true });
    const live: Live = {
      kept,
      log: new ProcessLog(join(this.#folder, id), kept.spec.resources.logs),
      ended: Promise.resolve(),
    };
    this.#machines.set(id, live);
    if (kept.pid !== null && (await startTimeOf(kept.pid)) === kept.startTime) killGroup(kept.pid, 'SIGKILL');
    await this.#killStragglers(id, await pidsWithEnvironment('CESTX_MACHINE', id));
    if (this.#cgroups) await setFrozen(this.#cgroups.cgroups(id), false);
    if (kept.state === 'running' || kept.state === 'frozen') {
      const exit = {
        code: null,
        reason: 'ended together with the platform',
        portTaken: false,
        withPlatform: true,
      };
      await this.#keep(live, { ...kept, state: 'exited', pid: null, exit });
    }
  }

  async create(spec: MachineSpec): Promise<void> {
    if (spec.artifact.kind !== 'directory')
      throw new CestxError(
        'start-failed',
        'This revision was built as a container image; deploy it again to run it as a process.',
      );
    if (spec.runtime)
      throw new CestxError(
        'start-failed',
        `runtime: ${spec.runtime} needs a container engine; functions run as plain processes here.`,
      );
    if (!spec.resources.network)
      throw new CestxError(
        'start-failed',
        "network: false needs a container engine; a plain process has this machine's network.",
      );
    if (this.#machines.has(spec.id)) return;
    const folder = join(this.#folder, spec.id);
    await mkdir(join(folder, 'tmp'), { recursive: true });
    if (this.#asNobody) {
      await chown(join(folder, 'tmp'), nobody, nobody);
      await chmod(join(folder, 'tmp'), 0o700);
    }
    const live: Live = {
      kept: { spec, state: 'created', pid: null, startTime: null, port: null, exit: null },
      log: new ProcessLog(folder, spec.resources.logs),
      ended: Promise.resolve(),
    };
    await this.#keep(live, live.kept);
    this.#machines.set(spec.id, live);
  }

  async start(id: string): Promise<void> {
    const live = this.#live(id);
    const { spec } = live.kept;
    if (live.kept.state === 'running' || live.kept.state === 'frozen') return;
    if (spec.artifact.kind !== 'directory') return;
    await live.ended;
    const { path, command } = spec.artifact;
    if (this.#asNobody && !(await othersCanEnter(path)))
      throw new CestxError('start-failed', `The build cannot be entered by the user "nobody": ${path}`);
    const port = await pickPort(new Set([...this.#machines.values()].map(({ kept }) => kept.port)));
    await this.#cgroups?.create(id, spec.resources);
    const cgroupFiles = this.#cgroups?.memberships(id) ?? [];
    const words = launchWords({
      command,
      cgroupFiles,
      asNobody: this.#asNobody,
      processes: this.#cgroups?.limited.includes('pids') ? null : 4096,
      files: spec.resources.files,
    });
    const folder = join(this.#folder, id);
    const outputs = await Promise.all([
      open(logFile(folder, 'stdout'), 'a'),
      open(logFile(folder, 'stderr'), 'a'),
    ]);
    const temporary = join(folder, 'tmp');
    const child = spawn(words[0], words.slice(1), {
      cwd: path,
      detached: true,
      stdio: ['ignore', outputs[0].fd, outputs[1].fd],
      env: {
        PATH: this.#path,
        HOME: temporary,
        TMPDIR: temporary,
        ...spec.environment,
        PORT: String(port),
      },
    });
    const spawned = new Promise<void>((resolvePid, reject) => {
      child.once('spawn', resolvePid);
      child.once('error', reject);
    });
    let tellEnded = (): void => {};
    live.ended = new Promise((ended) => (tellEnded = ended));
    child.once('exit', (code, signal) => {
      void this.#afterExit(live, child.pid ?? 0, code, signal).finally(tellEnded);
    });
    try {
      await spawned;
      const pid = child.pid ?? 0;
      this.#reaper.add(pid, cgroupFiles);
      const startTime = await startTimeOf(pid);
      if (child.exitCode === null && child.signalCode === null)
        await this.#keep(live, { ...live.kept, state: 'running', pid, startTime, port, exit: null });
      else await live.ended;
    } catch (error) {
      tellEnded();
      throw error;
    } finally {
      for (const output of outputs) await output.close();
    }
  }

  async #afterExit(
    live: Live,
    pid: number,
    code: number | null,
    signal: NodeJS.Signals | null,
  ): Promise<void> {
    const { id, resources } = live.kept.spec;
    killGroup(pid, 'SIGKILL');
    // Without a cgroup, what left the process group is known only by the environment it inherited.
    await this.#killStragglers(id, this.#cgroups ? [] : await pidsWithEnvironment('CESTX_MACHINE', id));
    this.#reaper.delete(pid);
    const outOfMemory = ((await this.#cgroups?.outOfMemoryKills(id)) ?? 0) > 0;
    const reason = outOfMemory
      ? `was killed for using more than its ${Math.round(resources.memory / 1024 ** 2)} MiB of memory`
      : code === null
        ? `was ended by signal ${signal}`
        : `exited with code ${code}`;
    const portTaken =
      code !== 0 && /EADDRINUSE|address already in use/i.test(await endOfErrors(join(this.#folder, id)));
    await this.#cgroups?.remove(id);
    if (this.#machines.has(id))
      await this.#keep(live, {
        ...live.kept,
        state: 'exited',
        pid: null,
        exit: { code, reason, portTaken, withPlatform: false },
      });
    for (const listener of this.#listeners) listener(id);
  }

  async #killStragglers(id: string, more: readonly number[]): Promise<void> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const members = [...((await this.#cgroups?.members(id)) ?? []), ...(attempt === 0 ? more : [])];
      if (members.length === 0) return;
      for (const pid of members) killOne(pid);
      await delay(10);
    }
  }

  freeze(id: string): Promise<void> {
    return this.#setFrozen(id, true);
  }

  thaw(id: string): Promise<void> {
    return this.#setFrozen(id, false);
  }

  async #setFrozen(id: string, wanted: boolean): Promise<void> {
    const live = this.#live(id);
    const { state, pid } = live.kept;
    if (pid === null || (state !== 'running' && state !== 'frozen'))
      throw new CestxError('conflict', `The machine ${id} is not running.`);
    // Whoever is frozen by its cgroup does not notice; after a SIGSTOP a program could see the SIGCONT.
    const cgroups = this.#cgroups?.cgroups(id);
    if (!cgroups || (await setFrozen(cgroups, wanted)) !== 'done')
      killGroup(pid, wanted ? 'SIGSTOP' : 'SIGCONT');
    await this.#keep(live, { ...live.kept, state: wanted ? 'frozen' : 'running' });
  }

  async stop(id: string, graceMs: number): Promise<void> {
    const live = this.#machines.get(id);
    const pid = live?.kept.pid ?? null;
    if (!live || pid === null) return;
    killGroup(pid, graceMs > 0 ? 'SIGTERM' : 'SIGKILL');
    // Signals reach a frozen program only once it is let go.
    const cgroups = this.#cgroups?.cgroups(id);
    if (cgroups) await setFrozen(cgroups, false);
    killGroup(pid, 'SIGCONT');
    if (graceMs > 0) {
      const late = new AbortController();
      await Promise.race([live.ended, delay(graceMs, null, { signal: late.signal }).catch(() => undefined)]);
      late.abort();
    }
    if (live.kept.pid !== null) killGroup(pid, 'SIGKILL');
    await live.ended;
  }

  async remove(id: string): Promise<void> {
    await this.stop(id, 0);
    await this.#machines.get(id)?.ended;
    this.#machines.delete(id);
    await rm(join(this.#folder, id), { recursive: true, force: true });
  }

  inspect(id: string): Promise<SeenMachine | null> {
    const live = this.#machines.get(id);
    return Promise.resolve(live ? seen(live.kept) : null);
  }

  list(): Promise<SeenMachine[]> {
    return Promise.resolve([...this.#machines.values()].map(({ kept }) => seen(kept)));
  }

  async stats(id: string): Promise<MachineUsage | null> {
    const pid = this.#machines.get(id)?.kept.pid ?? null;
    if (pid === null) return null;
    const pids = await this.#pids(id, pid);
    const cgroups = this.#cgroups?.cgroups(id);
    const counted = cgroups && (await usageIn(cgroups));
    const { cpuSeconds, memoryBytes } =
      counted?.cpuSeconds && counted.memoryBytes ? counted : await usageOf(pids);
    return {
      cpuSeconds,
      memoryBytes,
      memoryLimitBytes: counted?.memoryLimitBytes ?? totalmem(),
      processes: pids.length,
    };
  }

  async listeners(id: string): Promise<Listener[] | null> {
    const pid = this.#machines.get(id)?.kept.pid ?? null;
    return pid === null ? [] : listenersOf(await this.#pids(id, pid));
  }

  async #pids(id: string, group: number): Promise<number[]> {
    const members = await this.#cgroups?.members(id);
    return members && members.length > 0 ? members : pidsOfGroup(group);
  }

  async *logs(
    id: string,
    seenLines: readonly MachineLine[],
    signal: AbortSignal,
  ): AsyncIterable<MachineLine[]> {
    const live = this.#machines.get(id);
    if (!live) return;
    const filter = new SeenLines(seenLines);
    let lines = (await live.log.replay()).filter((line) => filter.admit(line));
    for (;;) {
      if (lines.length > 0) yield lines;
      if (signal.aborted) return;
      await live.log.forget();
      const ended = live.kept.state === 'exited' || live.kept.state === 'created' || !this.#machines.has(id);
      lines = await live.log.next(ended);
      if (lines.length > 0) continue;
      if (ended) return;
      await Promise.race([delay(50, null, { signal }).catch(() => undefined), live.ended]);
    }
  }

  onExit(listener: (id: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #live(id: string): Live {
    const live = this.#machines.get(id);
    if (!live) throw new CestxError('not-found', `There is no machine ${id}.`);
    return live;
  }

  async #keep(live: Live, kept: ProcessRecord): Promise<void> {
    live.kept = kept;
    await writeRecord(join(this.#folder, kept.spec.id), kept);
  }
}
