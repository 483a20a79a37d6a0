import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';

import { routeEntrySchema, routesBucket, type RouteEntry, type ScaleSettings } from '#contracts';
import { KeyValues } from '#messaging';

import { functionKey, type FunctionKey, type RevisionKey } from './machine-book.ts';

/** How each function is to scale and rest, and which of its revisions get calls: what the routes room says, in memory. */
@Injectable()
export class RouteTable implements OnModuleInit, OnModuleDestroy {
  readonly #entries = new Map<string, RouteEntry>();
  readonly #listeners = new Set<(key: FunctionKey) => void>();
  #stop: (() => Promise<void>) | null = null;

  constructor(private readonly keyValues: KeyValues) {}

  async onModuleInit(): Promise<void> {
    this.#stop = await this.keyValues.watch(routesBucket, routeEntrySchema, (key, entry) =>
      this.#set(key, entry),
    );
  }

  async onModuleDestroy(): Promise<void> {
    await this.#stop?.();
  }

  /** Null for a function without a route: nobody said how it is to rest, so it does not. */
  scaleOf(key: FunctionKey): ScaleSettings | null {
    return this.#entries.get(functionKey(key))?.scale ?? null;
  }

  /** Milliseconds a call of the function may take; null when there is no route. */
  timeoutOf(key: FunctionKey): number | null {
    return this.#entries.get(functionKey(key))?.timeout ?? null;
  }

  /** True when calls of the function may go to this revision. */
  isReferenced(key: RevisionKey): boolean {
    const traffic = this.#entries.get(functionKey(key))?.traffic ?? [];
    return traffic.some(({ revision, percent }) => revision === key.revision && percent > 0);
  }

  all(): RouteEntry[] {
    return [...this.#entries.values()];
  }

  /** Calls back when the scale of a function is another one than before. */
  onScaleChange(listener: (key: FunctionKey) => void): void {
    this.#listeners.add(listener);
  }

  #set(key: string, entry: RouteEntry | null): void {
    const before = this.#entries.get(key);
    if (entry) this.#entries.set(key, entry);
    else this.#entries.delete(key);
    if (entry && JSON.stringify(entry.scale) !== JSON.stringify(before?.scale))
      for (const listener of this.#listeners) listener(entry);
  }
}
