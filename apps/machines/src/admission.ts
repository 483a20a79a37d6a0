import { statfs } from 'node:fs/promises';

import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';

import { ROOM_CONFIG } from '#boot';
import { CestxError, type Machine } from '#contracts';

import { MachineBook } from './machine-book.ts';
import type { MachineRow } from './machine.entity.ts';
import type { MachinesConfig } from './machines.config.ts';
import { planAdmission, renderBytes, totalOf, type AdmissionLimits, type Share } from './plan-admission.ts';

type Asking = Pick<MachineRow, 'id' | 'project' | 'function' | 'settings'>;

/** A frozen machine keeps its memory, so both hold a share of the host. */
const holdingStates: readonly Machine['state'][] = ['running', 'frozen'];
/** Milliseconds a share stays set aside for a machine that is up but whose record does not say so yet. */
const recordPatienceMs = 60_000;
/** Tries, each after frozen machines that were to make room were woken in the meantime. */
const attempts = 5;

/**
 * Counts what the host and the projects have for machines, and keeps them within it. Limits are counted, not use: all
 * machines may use theirs at once.
 *
 * 1. Between the decision and the record that a machine is up, its share is set aside, so that two that start at once are
 *    never both given the last one.
 * 2. A frozen machine that is stopped to make room counts as gone from the decision on.
 */
@Injectable()
export class Admission implements OnModuleDestroy {
  readonly #setAside = new Map<string, { share: Share; timer: NodeJS.Timeout | null }>();
  readonly #leaving = new Set<string>();
  readonly #limits: AdmissionLimits;
  readonly #stopListening: () => void;
  #stopFrozen: (id: string) => Promise<boolean> = () => Promise.resolve(false);

  constructor(
    private readonly book: MachineBook,
    @Inject(ROOM_CONFIG) private readonly config: MachinesConfig,
  ) {
    this.#limits = {
      host: {
        memory: config.CESTX_HOST_MEMORY,
        cpu: config.CESTX_HOST_CPU,
        machines: config.CESTX_HOST_MACHINES,
      },
      project: {
        memory: config.CESTX_PROJECT_MEMORY || Infinity,
        machines: config.CESTX_PROJECT_MACHINES || Infinity,
      },
    };
    this.#stopListening = book.onChange((id, row) => {
      if (!row || holdingStates.includes(row.state)) this.#drop(id);
    });
  }

  onModuleDestroy(): void {
    this.#stopListening();
    for (const id of this.#setAside.keys()) this.#drop(id);
  }

  /** How a frozen machine is stopped to make room; false when it is not frozen any more, or busy. */
  makeRoomWith(stopFrozen: (id: string) => Promise<boolean>): void {
    this.#stopFrozen = stopFrozen;
  }

  /**
   * Runs `work`, which brings the machine up, with its share of the host set aside until the record says that it is up.
   * Throws `no-capacity` or `over-quota` before anything of it is made. One that is up already has its share.
   */
  async within<T>(machine: Asking, work: () => Promise<T>): Promise<T> {
    await this.#admit(machine);
    try {
      const result = await work();
      const held = this.#setAside.get(machine.id);
      if (held && this.#isUp(machine.id)) this.#drop(machine.id);
      else if (held) held.timer = setTimeout(() => this.#drop(machine.id), recordPatienceMs).unref();
      return result;
    } catch (error) {
      this.#drop(machine.id);
      throw error;
    }
  }

  /** What there is for machines and what is taken; the disk is that of the data folder, whoever fills it. */
  async capacity() {
    const taken = totalOf(this.#holding());
    const { memory, cpu, machines } = this.#limits.host;
    const disk = await this.#disk();
    return {
      memoryBytes: { total: memory, used: taken.memory },
      cpu: { total: cpu, used: taken.cpu },
      machines: { total: machines, used: taken.machines },
      diskBytes: { total: disk.total, used: disk.total - disk.free },
    };
  }

  async #admit(machine: Asking): Promise<void> {
    if (this.#isUp(machine.id)) return;
    await this.#requireDisk(machine);
    const asked = shareOf(machine, null);
    for (let attempt = 1; ; attempt++) {
      const plan = planAdmission(asked, this.#holding(), this.#limits);
      if (plan.kind === 'refuse') {
        this.#drop(machine.id);
        throw new CestxError(plan.code, plan.reason);
      }
      this.#drop(machine.id);
      this.#setAside.set(machine.id, { share: asked, timer: null });
      if (plan.kind === 'admit' || (await this.#reclaim(plan.stop))) return;
      if (attempt < attempts) continue;
      this.#drop(machine.id);
      throw new CestxError('no-capacity', 'The host is full, and the machines that rested were woken.');
    }
  }

  /** False when one of them could not be stopped: then it has to be planned once more. */
  async #reclaim(ids: readonly string[]): Promise<boolean> {
    for (const id of ids) this.#leaving.add(id);
    try {
      const stopped = await Promise.allSettled(ids.map((id) => this.#stopFrozen(id)));
      return stopped.every((result) => result.status === 'fulfilled' && result.value);
    } finally {
      for (const id of ids) this.#leaving.delete(id);
    }
  }

  async #requireDisk({ function: name, settings }: Asking): Promise<void> {
    const { free } = await this.#disk();
    const reserve = this.config.CESTX_HOST_DISK_FREE;
    const { logs } = settings.resources;
    if (free - logs >= reserve) return;
    throw new CestxError(
      'no-capacity',
      `The disk has ${renderBytes(free)} free; a machine of ${name} may write ${renderBytes(logs)} of output, and ${renderBytes(reserve)} are to stay free.`,
    );
  }

  async #disk(): Promise<{ total: number; free: number }> {
    const { blocks, bavail, bsize } = await statfs(this.config.CESTX_DATA).catch(() => statfs('.'));
    return { total: blocks * bsize, free: bavail * bsize };
  }

  #holding(): Share[] {
    const up = this.book
      .all()
      .filter(({ id, state }) => holdingStates.includes(state) && !this.#leaving.has(id))
      .map((row) => shareOf(row, row.state === 'frozen' ? row.since.getTime() : null));
    const known = new Set(up.map(({ id }) => id));
    const starting = [...this.#setAside.values()].map(({ share }) => share);
    return [...up, ...starting.filter(({ id }) => !known.has(id))];
  }

  #isUp(id: string): boolean {
    return holdingStates.includes(this.book.get(id)?.state ?? 'removed');
  }

  #drop(id: string): void {
    const held = this.#setAside.get(id);
    if (held?.timer) clearTimeout(held.timer);
    this.#setAside.delete(id);
  }
}

function shareOf(machine: Asking, frozenSince: number | null): Share {
  const { id, project, function: name, settings } = machine;
  const { memory, cpu } = settings.resources;
  return { id, project, function: name, memory, cpu, frozenSince };
}
