import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import {
  endpointsBucket,
  endpointSchema,
  inFlightRequestSchema,
  inFlightSubject,
  routeEntrySchema,
  routesBucket,
} from '#contracts';
import type { KeyValues, Messenger } from '#messaging';

import { EndpointTable } from './endpoint-table.ts';
import { ForwardedCall, type Call, type CallLimits, type CallServices } from './forward-call.ts';
import { HeldCalls } from './held-calls.ts';
import { Tunnel } from './tunnel.ts';
import { UpstreamPools } from './upstream-pools.ts';

export interface InvokerSettings extends CallLimits {
  /** Calls that may wait for a machine at a time. */
  readonly maxHeld: number;
}

/** Calls functions: knows the machines from the endpoint and route buckets and tells whoever drains one what it has in flight. */
export class Invoker {
  readonly table: EndpointTable;
  private readonly services: CallServices;
  private stopWatching: (() => Promise<void>)[] = [];

  constructor(settings: InvokerSettings) {
    const pools = new UpstreamPools();
    this.table = new EndpointTable((slot) => pools.retire(slot));
    this.services = { table: this.table, pools, held: new HeldCalls(settings.maxHeld), limits: settings };
  }

  /** Resolves when every route and machine of this moment is known. */
  async watch(keyValues: KeyValues, messenger: Messenger): Promise<void> {
    this.stopWatching = [
      await keyValues.watch(routesBucket, routeEntrySchema, (key, route) => this.table.setRoute(key, route)),
      await keyValues.watch(endpointsBucket, endpointSchema, (key, endpoint) =>
        this.table.setEndpoint(key, endpoint),
      ),
    ];
    messenger.answerAll(inFlightSubject, inFlightRequestSchema, (asked) =>
      this.table.inFlight(`${asked.project}.${asked.function}.${asked.machine}`),
    );
  }

  forward(call: Call, request: IncomingMessage, response: ServerResponse): void {
    new ForwardedCall(this.services, call, request, response).start();
  }

  tunnel(call: Call, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    new Tunnel(this.services, call, request, socket, head).start();
  }

  async close(): Promise<void> {
    for (const stop of this.stopWatching) await stop();
    await this.services.pools.close();
  }
}
