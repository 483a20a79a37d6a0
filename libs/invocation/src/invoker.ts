import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import {
  activitySubject,
  CestxError,
  endpointsBucket,
  endpointSchema,
  inFlightRequestSchema,
  inFlightSubject,
  routeEntrySchema,
  routesBucket,
  WakeFunction,
  type RequestOf,
  type ResponseOf,
} from '#contracts';
import type { KeyValues, Messenger } from '#messaging';

import { EndpointTable } from './endpoint-table.ts';
import { ForwardedCall, type Call, type CallLimits, type CallServices } from './forward-call.ts';
import { FunctionWaker, type OnWoken } from './function-waker.ts';
import { HeldCalls, type HoldLimits } from './held-calls.ts';
import { endLasting } from './lasting-calls.ts';
import { ActivityReport } from './report-activity.ts';
import { SentRequest, type FunctionAnswer, type FunctionRequest } from './sent-request.ts';
import type { Target } from './target.ts';
import { Tunnel } from './tunnel.ts';
import { UpstreamPools } from './upstream-pools.ts';

export interface InvokerSettings extends CallLimits, HoldLimits {
  readonly onWoken?: OnWoken;
}

const reportEveryMs = 1_000;
/** A wake may take longer; asking again joins it. Short, because a room that was killed meanwhile never answers. */
const askForMs = 3_000;

/**
 * Calls functions: knows the machines from the endpoint and route buckets, asks for one where none is ready, tells whoever drains
 * a machine what it has in flight there, and everybody every second what it has to do.
 */
export class Invoker {
  readonly table: EndpointTable;
  private readonly services: CallServices;
  private readonly report: ActivityReport;
  private readonly caller = randomBytes(9).toString('hex');
  private messenger: Messenger | null = null;
  private timer: NodeJS.Timeout | undefined;
  private stopWatching: (() => Promise<void>)[] = [];

  constructor(settings: InvokerSettings) {
    const pools = new UpstreamPools();
    const table = (this.table = new EndpointTable({
      retired: (slot) => pools.retire(slot),
      closing: endLasting,
      changed: (target) => held.serve(target),
    }));
    const waker = new FunctionWaker(table, (request) => this.ask(request), settings.onWoken ?? (() => {}));
    const held: HeldCalls = new HeldCalls(table, settings, (target, trace) =>
      waker.wake(target, held, trace),
    );
    this.services = { table, pools, held, limits: settings };
    this.report = new ActivityReport(table, this.caller);
  }

  /** Calls that wait for a machine now. */
  get held(): number {
    return this.services.held.current;
  }

  /** Resolves when every route and machine of this moment is known. */
  async watch(keyValues: KeyValues, messenger: Messenger): Promise<void> {
    this.messenger = messenger;
    this.stopWatching = [
      await keyValues.watch(routesBucket, routeEntrySchema, (key, route) => this.table.setRoute(key, route)),
      await keyValues.watch(endpointsBucket, endpointSchema, (key, endpoint) =>
        this.table.setEndpoint(key, endpoint),
      ),
    ];
    messenger.answerAll(inFlightSubject, inFlightRequestSchema, (asked) =>
      this.table.inFlight(`${asked.project}.${asked.function}.${asked.machine}`),
    );
    this.timer = setInterval(() => this.tick(messenger), reportEveryMs);
    this.tick(messenger);
  }

  forward(call: Call, request: IncomingMessage, response: ServerResponse): void {
    new ForwardedCall(this.services, call, request, response).start();
  }

  tunnel(call: Call, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    new Tunnel(this.services, call, request, socket, head).start();
  }

  /** Sends a request of our own; resolves with whatever the function answered. Throws what kept it from answering. */
  send(target: Target, request: FunctionRequest): Promise<FunctionAnswer> {
    return new Promise((answered, failed) => {
      new SentRequest(this.services, target, request, answered, failed).start();
    });
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    for (const stop of this.stopWatching) await stop();
    await this.services.pools.close();
  }

  private tick(messenger: Messenger): void {
    this.table.expireVouched(Date.now());
    // Reports are for now: what could not be told is added to the next one, instead of being sent late.
    if (messenger.connected) {
      messenger.tell(activitySubject(this.caller), this.report.take(performance.now()));
    }
  }

  private async ask(request: RequestOf<typeof WakeFunction>): Promise<ResponseOf<typeof WakeFunction>> {
    if (!this.messenger) throw new CestxError('unavailable', 'The gateway is not connected yet.');
    return this.messenger.ask(WakeFunction, request, { timeoutMs: askForMs });
  }
}
