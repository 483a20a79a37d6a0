import { setTimeout as sleep } from 'node:timers/promises';

import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import {
  activitySchema,
  activitySubject,
  endpointsBucket,
  endpointSchema,
  MachinesAdjusted,
  MachinesAdjustFailed,
  routeEntrySchema,
  routesBucket,
  type RouteEntry,
} from '#contracts';
import { EventStreams, KeyValues, Messenger } from '#messaging';

import { CallerReports, type Reading } from './caller-reports.ts';
import { DecisionStore, orderId } from './decision.store.ts';
import { EventLag } from './event-lag.ts';
import { FunctionTable } from './function-table.ts';
import { LeaderStore } from './leader.store.ts';
import { RevisionScale } from './revision-scale.ts';
import type { ScalerConfig } from './scaler.config.ts';

/** Nothing of a function is decided while its load is not known; so often this is said. */
const silenceToldEvery = 60_000;

/**
 * Looks at every function once a second and orders what its load asks for. What it holds in memory is the load of the last
 * window: a restart loses that and nothing else. Every process of this room looks; one of them orders.
 */
@Injectable()
export class ScaleFunctionsLoop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #stopping = new AbortController();
  readonly #reports = new CallerReports();
  readonly #table = new FunctionTable();
  readonly #lag: EventLag;
  readonly #lagToldAt = new Map<string, number>();
  /** By `<project>.<revision>`, as long as there is something to remember. */
  readonly #scales = new Map<string, RevisionScale>();
  #stops: (() => unknown)[] = [];
  #running: Promise<void> | undefined;
  /** At a start nobody has reported yet. */
  #silenceToldAt = performance.now();

  constructor(
    private readonly decisions: DecisionStore,
    private readonly leader: LeaderStore,
    private readonly keyValues: KeyValues,
    private readonly messenger: Messenger,
    streams: EventStreams,
    @Inject(ROOM_CONFIG) private readonly config: ScalerConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.#lag = new EventLag(streams);
  }

  async onApplicationBootstrap(): Promise<void> {
    const { keyValues, messenger } = this;
    this.#stops = [
      await keyValues.watch(endpointsBucket, endpointSchema, (key, endpoint) =>
        this.#table.setEndpoint(key, endpoint),
      ),
      await this.#lag.watch(keyValues),
      await keyValues.watch(routesBucket, routeEntrySchema, (key, route) => this.#setRoute(key, route)),
      messenger.listen(activitySubject(), activitySchema, (said) =>
        this.#reports.hear(said, performance.now()),
      ),
      messenger.subscribe(MachinesAdjusted, '*', ({ machines, reason }, { id }) =>
        this.#noteEnd(id, machines, reason),
      ),
      messenger.subscribe(MachinesAdjustFailed, '*', ({ message }, { id }) =>
        this.#noteEnd(id, null, message),
      ),
    ];
    this.#running = this.#run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.#stopping.abort();
    for (const stop of this.#stops) await stop();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const everyMs = this.config.CESTX_SCALE_SECONDS * 1000;
    await this.decisions.forgetAllBut([...this.#table.routes.keys()]).catch(() => undefined);
    while (!signal.aborted) {
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#look(performance.now());
      } catch (error) {
        this.logger.warn({ err: error }, 'functions could not be scaled, trying again');
      }
    }
  }

  async #look(now: number): Promise<void> {
    const reading = this.#reports.read(now);
    if (reading.silent) return this.#tellSilence(now);
    for (const [key, route] of this.#table.routes) {
      for (const { revision, percent } of route.traffic) {
        if (percent > 0) await this.#lookAt(key, route, { revision, share: percent / 100 }, reading, now);
      }
    }
  }

  async #lookAt(
    key: string,
    route: RouteEntry,
    part: { revision: string; share: number },
    reading: Reading,
    now: number,
  ): Promise<void> {
    const id = `${route.project}_${part.revision}`;
    const running = this.#table.running(key, part.revision);
    const isLag = route.scale.metric !== 'concurrency';
    const whole = isLag ? await this.#lagOf(key) : (reading.loads.get(key) ?? 0);
    // A reading that failed is neither zero nor the most there may be.
    if (whole === null) return;
    const load = whole * part.share;
    let scale = this.#scales.get(id);
    if (!scale) {
      const { min } = route.scale;
      if (load === 0 && running <= Math.max(min, 1) && running >= min) return;
      scale = new RevisionScale(running, now, route.scale.metric);
      this.#scales.set(id, scale);
    }
    // What is known in part only is a reading that failed, too.
    if (!isLag && reading.partial.has(key)) return;
    const decided = scale.look({ now, load, running, route, revision: part.revision });
    if (decided && (await this.leader.isLeader())) {
      if (decided.kind === 'again') await this.decisions.orderAgain(decided.decision);
      else {
        const rowId = await this.decisions.decide(decided.decision);
        scale.noteDecision(rowId);
        const { from, to, reason } = decided.decision;
        this.logger.info({ function: key, revision: part.revision, from, to, reason }, 'decided on machines');
      }
      scale.noteOrder(decided.decision.to, now, decided.kind);
    }
    if (scale.isForgettable(running, route.scale)) this.#scales.delete(id);
  }

  async #lagOf(key: string): Promise<number | null> {
    try {
      return await this.#lag.read(key);
    } catch (error) {
      const now = performance.now();
      if (now - (this.#lagToldAt.get(key) ?? -silenceToldEvery) >= silenceToldEvery) {
        this.#lagToldAt.set(key, now);
        this.logger.warn(
          { err: error, function: key },
          'its events cannot be counted; it keeps the machines it has',
        );
      }
      return null;
    }
  }

  #noteEnd(id: string, reached: number | null, said: string | null): void {
    const scale = this.#scales.get(id);
    const rowId = scale?.noteEnd(reached, performance.now());
    if (!rowId) return;
    const outcome = reached === null ? (said ?? 'failed') : `${reached} running${said ? `: ${said}` : ''}`;
    void this.decisions
      .setOutcome(rowId, outcome)
      .catch((error: unknown) => this.logger.warn({ err: error }, 'the outcome of a decision was not kept'));
  }

  #setRoute(key: string, route: RouteEntry | null): void {
    const before = this.#table.routes.get(key);
    this.#table.setRoute(key, route);
    for (const { revision } of before?.traffic ?? []) {
      const stays = route?.traffic.some((part) => part.revision === revision);
      if (before && !stays) this.#scales.delete(orderId({ project: before.project, revision }));
    }
    if (before && !route) {
      void this.decisions
        .forget(before)
        .catch((error: unknown) => this.logger.warn({ err: error }, 'decisions were not forgotten'));
    }
  }

  #tellSilence(now: number): void {
    if (now - this.#silenceToldAt < silenceToldEvery || this.#table.routes.size === 0) return;
    this.#silenceToldAt = now;
    this.logger.warn('nobody reports calls; every function keeps the machines it has');
  }
}
