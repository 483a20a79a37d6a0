import { Injectable } from '@nestjs/common';

import type { MachineRow } from './machine.entity.ts';

export interface FunctionKey {
  readonly project: string;
  readonly function: string;
}
export interface RevisionKey extends FunctionKey {
  readonly revision: string;
}

export function functionKey({ project, function: name }: FunctionKey): string {
  return `${project}.${name}`;
}
export function revisionKey(key: RevisionKey): string {
  return `${functionKey(key)}.${key.revision}`;
}

/** Every machine as its row says, in memory: who is in a hurry does not ask the database. Told of each commit by the store. */
@Injectable()
export class MachineBook {
  readonly #rows = new Map<string, MachineRow>();
  readonly #byFunction = new Map<string, Map<string, MachineRow>>();
  /** Machines with a tombstone that are not gone yet. */
  readonly #leaving = new Set<string>();
  readonly #listeners = new Set<(id: string, row: MachineRow | null) => void>();

  get(id: string): MachineRow | null {
    return this.#rows.get(id) ?? null;
  }

  all(): MachineRow[] {
    return [...this.#rows.values()];
  }

  of(key: FunctionKey): MachineRow[] {
    return [...(this.#byFunction.get(functionKey(key))?.values() ?? [])];
  }

  ofRevision(key: RevisionKey): MachineRow[] {
    return this.of(key).filter(({ id, revision }) => revision === key.revision && !this.#leaving.has(id));
  }

  isLeaving(id: string): boolean {
    return this.#leaving.has(id);
  }

  set(row: MachineRow): void {
    this.#rows.set(row.id, row);
    const key = functionKey(row);
    const machines = this.#byFunction.get(key) ?? new Map<string, MachineRow>();
    this.#byFunction.set(key, machines.set(row.id, row));
    this.#tell(row.id, row);
  }

  leave(id: string): void {
    if (this.#rows.has(id)) this.#leaving.add(id);
  }

  delete(id: string): void {
    const row = this.#rows.get(id);
    this.#leaving.delete(id);
    if (!row) return;
    this.#rows.delete(id);
    const machines = this.#byFunction.get(functionKey(row));
    machines?.delete(id);
    if (machines?.size === 0) this.#byFunction.delete(functionKey(row));
    this.#tell(id, null);
  }

  /** Calls back with each change of a machine; null: it is gone. Returns how to stop that. */
  onChange(listener: (id: string, row: MachineRow | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves with the first answer of `look` that is not undefined, asked now and after each change; null when `timeoutMs` are over. */
  async until<T>(look: () => T | undefined, timeoutMs: number, signal?: AbortSignal): Promise<T | null> {
    const now = look();
    if (now !== undefined) return now;
    return new Promise((resolve) => {
      const end = (answer: T | null): void => {
        stop();
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
        resolve(answer);
      };
      const giveUp = (): void => end(null);
      const stop = this.onChange(() => {
        const answer = look();
        if (answer !== undefined) end(answer);
      });
      const timer = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  #tell(id: string, row: MachineRow | null): void {
    for (const listener of this.#listeners) listener(id, row);
  }
}
