import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

import { errors, type Dispatcher } from 'undici';

import { CestxError } from '#contracts';

import { answerHeaders, requestHeaders } from './call-headers.ts';
import type { Call, CallServices } from './forward-call.ts';
import type { CallTrace } from './call-trace.ts';
import { noteLasting } from './lasting-calls.ts';
import type { HeldCall, Slot } from './target.ts';

/** Bytes a caller may send before it knows whether the function switches. */
const earlyLimit = 64 * 1024;
/** Once one side has ended, the other is given this long (ms) to end too. */
const endPatience = 2_000;
/** A tunnel in which nothing moves for this long is closed. */
const idleLimit = 10 * 60_000;
const clientClosedRequest = 499;
/** How long (ms) a machine that took no connection is passed over. */
const avoidFor = 500;

/**
 * An upgraded connection (WebSocket): the machine's answer is checked to be 101, then bytes pass both ways.
 * It counts as one call of its machine until either side ends it, or its machine has taken no more calls for a while.
 */
export class Tunnel implements Dispatcher.DispatchHandler, HeldCall {
  readonly trace: CallTrace;
  holdUntil = 0;
  reason: CestxError | null = null;
  private readonly services: CallServices;
  private readonly call: Call;
  private readonly request: IncomingMessage;
  private readonly socket: Duplex;
  /** What the caller sent before the function agreed to switch. */
  private early: Buffer[];
  private slot: Slot | null = null;
  private sent = false;
  private answered = false;
  private endLasting: (() => void) | undefined;
  private answering: NodeJS.Timeout | undefined;
  private over = false;

  constructor(services: CallServices, call: Call, request: IncomingMessage, socket: Duplex, head: Buffer) {
    this.services = services;
    this.call = call;
    this.trace = call.trace;
    this.request = request;
    this.socket = socket;
    this.early = head.length > 0 ? [head] : [];
  }

  start(): void {
    this.socket.once('close', () => {
      if (!this.slot) this.finish(clientClosedRequest, 'caller-gone');
    });
    // Read all the while, because only who reads learns that the caller has left.
    this.socket.on('data', this.keepEarly).once('end', this.leave);
    this.place();
  }

  private readonly keepEarly = (chunk: Buffer): void => {
    this.early.push(chunk);
    if (Buffer.concat(this.early).length > earlyLimit) this.socket.pause();
  };

  private readonly leave = (): void => {
    this.socket.destroy();
  };

  private place(): void {
    const { held } = this.services;
    const choice = held.choose(this.call.target);
    if (typeof choice === 'string') held.hold(this.call.target, this, choice);
    else this.take(choice);
  }

  take(slot: Slot): void {
    this.slot = slot;
    this.services.table.begin(this.call.target, slot);
    const headers = requestHeaders(this.request, {
      callId: this.call.callId,
      host: this.call.host,
      trustProxy: this.services.limits.trustProxy,
    });
    headers.push('traceparent', this.call.trace.sending(slot.machine));
    this.services.pools.of(slot).dispatch(
      {
        path: this.call.path,
        method: 'GET',
        headers,
        upgrade: 'websocket',
        headersTimeout: this.call.target.route?.timeout ?? 0,
      },
      this,
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.sent = true;
    if (this.socket.destroyed) controller.abort(new Error('the caller is gone'));
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
    if (this.slot) this.endLasting = noteLasting(this.call.target, this.slot, close);
    for (const side of [this.socket, upstream]) {
      side.once('error', close).once('close', close);
      side.once('end', () => setTimeout(close, endPatience).unref());
      if ('setTimeout' in side && typeof side.setTimeout === 'function') side.setTimeout(idleLimit, close);
    }
    this.socket.off('data', this.keepEarly).off('end', this.leave);
    for (const chunk of this.early.splice(0)) upstream.write(chunk);
    upstream.pipe(this.socket).pipe(upstream);
  }

  /** The function declined to switch: its answer goes back, and the connection ends with it. */
  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    text?: string,
  ): void {
    if (status < 200) return;
    const limit = this.call.target.route?.timeout ?? 0;
    this.answering = setTimeout(() => this.socket.destroy(), limit);
    this.writeHead(`${status} ${text ?? ''}`, ['Connection', 'close'], controller);
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
    if (!this.sent && this.slot && !this.socket.destroyed) {
      this.reason = new CestxError('function-unreachable', 'No machine of the function takes a connection.', {
        detail: error.message,
      });
      this.slot.avoidUntil = Date.now() + avoidFor;
      this.services.table.end(this.call.target, this.slot);
      this.slot = null;
      this.place();
    } else if (!this.answered && !this.socket.destroyed) {
      this.refuse(
        error instanceof errors.HeadersTimeoutError
          ? new CestxError('function-timeout', 'The function did not answer within its timeout.')
          : new CestxError('function-unreachable', 'The function closed the connection before it answered.', {
              detail: error.message,
            }),
      );
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

  refuse(error: CestxError): void {
    this.call.refused(error);
    this.finish(502, error.code);
  }

  private finish(status: number, error: string | null): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.answering);
    this.endLasting?.();
    this.services.held.forget(this.call.target, this);
    if (this.slot) this.services.table.end(this.call.target, this.slot);
    this.call.trace.ended(status, this.slot?.machine ?? null, error);
    this.call.ended(status);
  }
}
