import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import type { Dispatcher } from 'undici';

import { CestxError } from '#contracts';

import { answerHeaders, requestHeaders } from './call-headers.ts';
import type { Call, CallServices } from './forward-call.ts';
import type { Slot } from './endpoint-table.ts';
import { pickSlot } from './pick-slot.ts';

/** Once one side has ended, the other is given this long (ms) to end too. */
const endPatience = 2_000;
/** A tunnel in which nothing moves for this long is closed. */
const idleLimit = 10 * 60_000;

/**
 * An upgraded connection (WebSocket): the machine's answer is checked to be 101, then bytes pass both ways.
 * It counts as one call of its machine until either side ends it.
 */
export class Tunnel implements Dispatcher.DispatchHandler {
  private readonly services: CallServices;
  private readonly call: Call;
  private readonly request: IncomingMessage;
  private readonly socket: Duplex;
  private readonly head: Buffer;
  private slot: Slot | null = null;
  private answered = false;
  private over = false;

  constructor(services: CallServices, call: Call, request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.services = services;
    this.call = call;
    this.request = request;
    this.socket = socket;
    this.head = head;
  }

  start(): void {
    const { route, slots } = this.call.target;
    const choice = route ? pickSlot(slots, route.traffic, Date.now()) : 'none';
    if (choice === 'full')
      return this.refuse(new CestxError('busy', 'Every machine is at its concurrency limit.'));
    if (choice === 'none') {
      return this.refuse(new CestxError('unavailable', 'No machine of the function is ready.'));
    }
    this.slot = choice;
    this.services.table.begin(choice);
    const headers = requestHeaders(this.request, {
      callId: this.call.callId,
      host: this.call.host,
      trustProxy: this.services.limits.trustProxy,
    });
    headers.push('traceparent', this.call.trace.sending(choice.machine));
    this.services.pools.of(choice).dispatch(
      {
        path: this.call.path,
        method: 'GET',
        headers,
        upgrade: 'websocket',
        headersTimeout: route?.timeout ?? 0,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.socket.once('close', () => controller.abort(new Error('the caller is gone')));
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    _status: number,
    _headers: unknown,
    upstream: Duplex,
  ): void {
    this.writeHead('101 Switching Protocols', ['Connection', 'Upgrade', 'Upgrade', 'websocket'], controller);
    const close = () => {
      upstream.destroy();
      this.socket.destroy();
      this.finish(101, null);
    };
    for (const side of [this.socket, upstream]) {
      side.once('error', close).once('close', close);
      side.once('end', () => setTimeout(close, endPatience).unref());
      if ('setTimeout' in side && typeof side.setTimeout === 'function') side.setTimeout(idleLimit, close);
    }
    if (this.head.length > 0) upstream.write(this.head);
    upstream.pipe(this.socket).pipe(upstream);
  }

  /** The function declined to switch: its answer goes back, and the connection ends with it. */
  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    text?: string,
  ): void {
    if (status >= 200) this.writeHead(`${status} ${text ?? ''}`, ['Connection', 'close'], controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.socket.write(chunk)) return;
    controller.pause();
    this.socket.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    this.socket.end();
    this.finish(400, null);
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (!this.answered && !this.socket.destroyed) {
      const text = 'The function closed the connection before it answered.';
      this.refuse(new CestxError('function-unreachable', text, { detail: error.message }));
    } else {
      this.socket.destroy();
      this.finish(502, 'function-unreachable');
    }
  }

  private writeHead(statusLine: string, first: string[], controller: Dispatcher.DispatchController): void {
    this.answered = true;
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
    const headers = [...first, ...answerHeaders(raw).headers];
    headers.push('X-Call-Id', this.call.callId, 'Traceparent', this.call.trace.traceparent);
    let text = `HTTP/1.1 ${statusLine}\r\n`;
    for (let index = 0; index < headers.length; index += 2)
      text += `${headers[index]}: ${headers[index + 1]}\r\n`;
    this.socket.write(`${text}\r\n`, 'latin1');
  }

  private refuse(error: CestxError): void {
    this.call.refused(error);
    this.finish(502, error.code);
  }

  private finish(status: number, error: string | null): void {
    if (this.over) return;
    this.over = true;
    if (this.slot) this.services.table.end(this.call.target, this.slot);
    this.call.trace.ended(status, this.slot?.machine ?? null, error);
    this.call.ended(status);
  }
}
