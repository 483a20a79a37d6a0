import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough, Transform } from 'node:stream';

import type { Dispatcher } from 'undici';

import { CestxError } from '#contracts';

import { answerHeaders, requestHeaders } from './call-headers.ts';
import type { CallTrace } from './call-trace.ts';
import type { EndpointTable } from './endpoint-table.ts';
import type { HeldCalls } from './held-calls.ts';
import { noteLasting } from './lasting-calls.ts';
import type { HeldCall, Slot, Target } from './target.ts';
import type { UpstreamPools } from './upstream-pools.ts';

export interface CallLimits {
  /** Bytes of a request body. */
  readonly maxBody: number;
  readonly trustProxy: boolean;
}

export interface CallServices {
  readonly table: EndpointTable;
  readonly pools: UpstreamPools;
  readonly held: HeldCalls;
  readonly limits: CallLimits;
}

export interface Call {
  readonly target: Target;
  /** The path and query the function sees. */
  readonly path: string;
  readonly host: string;
  readonly callId: string;
  readonly trace: CallTrace;
  /** `performance.now()` when the call came. */
  readonly startedAt: number;
  /** The call failed and nothing was written: the owner answers. */
  refused(error: CestxError): void;
  /** The call is over; `status` is what the caller got, 499 when the caller left first. */
  ended(status: number): void;
}

/** A body up to this size, of known length, is read before it is sent: half the cost of streaming it, and it can be sent twice. */
const bufferedBody = 64 * 1024;
/** Up to this size a whole answer is written together with its head. */
const smallAnswer = 16 * 1024;
/** How long a machine that took no connection is passed over. */
const avoidFor = 500;
const replayable = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const clientClosedRequest = 499;
/** An event stream in which nothing comes for this long (ms) is closed. */
const idleLimit = 10 * 60_000;
/** How long (ms) a caller may take over the end of an answer that has come whole. */
const takeFor = 60_000;
type StopReason = CestxError | 'caller-gone' | 'lasted';

/**
 * One call on its way to a machine and back. Invariants:
 * 1. a machine's count goes up before the request leaves and down when the exchange is over, exactly once each;
 * 2. a request is sent again only when no byte of it left, or when its method says that is safe and its body is at hand;
 * 3. either `refused` is called, or bytes of an answer were written; `ended` is called once, last.
 */
export class ForwardedCall implements Dispatcher.DispatchHandler, HeldCall {
  readonly trace: CallTrace;
  holdUntil = 0;
  private readonly services: CallServices;
  private readonly call: Call;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private body: Buffer | 'stream' | null = null;
  private upload: PassThrough | Transform | null = null;
  private slot: Slot | null = null;
  private slotUsed: Slot | null = null;
  private controller: Dispatcher.DispatchController | null = null;
  private timer: NodeJS.Timeout | undefined;
  private endLasting: (() => void) | undefined;
  private sends = 0;
  private sent = false;
  private connectError: Error | null = null;
  private stopped: StopReason | null = null;
  private over = false;
  private expected = -1;
  private received = 0;
  private status = 0;

  constructor(services: CallServices, call: Call, request: IncomingMessage, response: ServerResponse) {
    this.services = services;
    this.call = call;
    this.trace = call.trace;
    this.request = request;
    this.response = response;
  }

  start(): void {
    this.response.once('close', () => {
      if (!this.over && !this.response.writableFinished) this.stop('caller-gone');
    });
    const length = Number(this.request.headers['content-length'] ?? -1);
    if (length > this.services.limits.maxBody) return this.refuse(this.tooLarge());
    if (this.request.headers['transfer-encoding'] !== undefined || length > bufferedBody)
      this.body = 'stream';
    else if (length > 0) return this.readBody();
    this.place();
  }

  private readBody(): void {
    const chunks: Buffer[] = [];
    this.request.on('data', (chunk: Buffer) => chunks.push(chunk));
    this.request.once('end', () => {
      this.body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      if (!this.over) this.place();
    });
  }

  private place(): void {
    const { held } = this.services;
    const choice = held.choose(this.call.target);
    if (typeof choice === 'string') held.hold(this.call.target, this, choice);
    else this.take(choice);
  }

  get reason(): CestxError | null {
    if (!this.connectError) return null;
    return unreachable('No machine of the function takes a connection.', this.connectError);
  }

  take(slot: Slot): void {
    // What the function may take begins here; waiting for a machine has a limit of its own.
    const limit = this.call.target.route?.timeout ?? 0;
    this.timer ??= setTimeout(() => this.stop(timeoutError(limit)), limit);
    this.slot = slot;
    this.sent = false;
    this.sends++;
    this.services.table.begin(this.call.target, slot);
    const headers = requestHeaders(this.request, {
      callId: this.call.callId,
      host: this.call.host,
      trustProxy: this.services.limits.trustProxy,
    });
    headers.push('traceparent', this.call.trace.sending(slot.machine));
    let body: Buffer | PassThrough | Transform | null = null;
    if (this.body === 'stream') {
      body = this.upload = this.makeUpload();
      const length = this.request.headers['content-length'];
      if (length !== undefined) headers.push('content-length', length);
    } else if (this.body) body = this.body;
    try {
      this.services.pools
        .of(slot)
        .dispatch({ path: this.call.path, method: this.request.method ?? 'GET', headers, body }, this);
    } catch (error) {
      this.release();
      this.refuse(
        new CestxError('bad-request', 'The request cannot be passed on.', { detail: String(error) }),
      );
    }
  }

  /** A stream between the caller and the machine, so that a machine that fails does not tear down the caller's connection. */
  private makeUpload(): PassThrough | Transform {
    if (this.request.headers['content-length'] !== undefined) return new PassThrough();
    let size = 0;
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        size += chunk.length;
        if (size <= this.services.limits.maxBody) return done(null, chunk);
        this.stop(this.tooLarge());
        done();
      },
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    this.sent = true;
    if (this.stopped) controller.abort(new Error('the call has ended'));
    else if (this.upload) this.request.pipe(this.upload);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    statusText?: string,
  ): void {
    if (status < 200) return;
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : [];
    const { headers, contentLength } = answerHeaders(raw);
    const seconds = (performance.now() - this.call.startedAt) / 1000;
    headers.push('traceparent', this.call.trace.traceparent, 'x-call-id', this.call.callId);
    headers.push('x-duration-seconds', seconds.toFixed(6));
    try {
      this.response.writeHead(status, statusText ?? '', headers);
    } catch (error) {
      // Characters that undici lets through and no header may have.
      return this.stop(unreachable('The function answered with a header that is not valid HTTP.', error));
    }
    this.status = status;
    this.expected = contentLength;
    if (isEventStream(raw)) this.lift();
    // Without a known length the first bytes may be long in coming (server-sent events): the head must not wait for them.
    if (contentLength < 0) {
      setImmediate(() => {
        if (this.received === 0 && !this.over) this.response.flushHeaders();
      });
    }
  }

  /** A stream of events has no end of its own: from here on it is closed when nothing comes for long, or its machine goes. */
  private lift(): void {
    const slot = this.slot;
    if (!slot) return;
    const close = () => this.stop('lasted');
    clearTimeout(this.timer);
    this.timer = setTimeout(close, idleLimit);
    this.endLasting = noteLasting(this.call.target, slot, close);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.received += chunk.length;
    if (this.endLasting) this.timer?.refresh();
    if (this.received === this.expected) this.endWith(chunk);
    else if (!this.response.write(chunk)) {
      controller.pause();
      this.response.once('drain', () => controller.resume());
    }
  }

  private endWith(last: Buffer): void {
    // Head and body go out as one string then, which Node writes faster than two buffers; latin1 keeps every byte.
    if (last.length === this.received && last.length <= smallAnswer) {
      this.response.end(last.toString('latin1'), 'latin1');
    } else this.response.end(last);
  }

  onResponseEnd(): void {
    this.release();
    if (this.over) return;
    if (!this.response.writableEnded) this.response.end();
    if (this.response.writableLength > 0) this.limitTaking();
    this.finish(this.status, null);
  }

  /** The machine is done, and what is left is for the caller to take; who does not read must not keep it for ever. */
  private limitTaking(): void {
    const timer = setTimeout(() => this.response.destroy(), takeFor).unref();
    this.response.once('close', () => clearTimeout(timer));
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.release();
    this.dropUpload();
    if (this.over) return;
    if (this.response.headersSent) {
      this.response.destroy();
      this.finish(this.status, 'function-unreachable');
    } else if (!this.sent) {
      this.connectError = error;
      if (this.slotUsed) this.slotUsed.avoidUntil = Date.now() + avoidFor;
      this.place();
    } else if (this.sends < 3 && brokeOff(error) && this.isReplayable()) this.place();
    else this.refuse(unreachable('The function closed the connection before it answered.', error));
  }

  private isReplayable(): boolean {
    return this.body !== 'stream' && replayable.has(this.request.method ?? '');
  }

  private release(): void {
    if (!this.slot) return;
    this.slotUsed = this.slot;
    this.endLasting?.();
    this.services.table.end(this.call.target, this.slot);
    this.slot = null;
    this.controller = null;
  }

  private dropUpload(): void {
    if (!this.upload) return;
    this.request.unpipe(this.upload);
    this.upload.destroy();
    this.upload = null;
  }

  /** Ends the call from this side: its time is over, its body too large, or its caller gone, or its stream has lasted long enough. */
  private stop(reason: StopReason): void {
    if (this.over || this.stopped) return;
    this.stopped = reason;
    const controller = this.controller;
    this.dropUpload();
    if (reason === 'caller-gone') this.finish(clientClosedRequest, 'caller-gone');
    else if (reason === 'lasted') {
      this.response.end();
      this.finish(this.status, null);
    } else if (this.response.headersSent) {
      this.response.destroy();
      this.finish(this.status, reason.code);
    } else this.refuse(reason);
    controller?.abort(new Error('the call has ended'));
  }

  refuse(error: CestxError): void {
    if (this.over) return;
    this.over = true;
    this.call.refused(error);
    this.settle(this.response.statusCode, error.code);
  }

  private finish(status: number, error: string | null): void {
    if (this.over) return;
    this.over = true;
    this.settle(status, error);
  }

  private settle(status: number, error: string | null): void {
    clearTimeout(this.timer);
    this.services.held.forget(this.call.target, this);
    this.call.trace.ended(status, (this.slot ?? this.slotUsed)?.machine ?? null, error);
    this.call.ended(status);
  }

  private tooLarge(): CestxError {
    return new CestxError('too-large', `The body is larger than ${this.services.limits.maxBody} bytes.`);
  }
}

function timeoutError(ms: number): CestxError {
  return new CestxError('function-timeout', `The function did not answer within ${ms} ms.`);
}

/** The connection ended, as kept ones do; what came over it was not wrong. */
function brokeOff(error: Error): boolean {
  return 'code' in error && ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(String(error.code));
}

function unreachable(text: string, cause: unknown): CestxError {
  return new CestxError('function-unreachable', text, {
    detail: cause instanceof Error ? cause.message : String(cause),
  });
}

function isEventStream(raw: readonly (Buffer | string)[]): boolean {
  for (let index = 0; index < raw.length; index += 2) {
    const name = raw[index] as Buffer | string;
    if (name.length !== 12 || name.toString().toLowerCase() !== 'content-type') continue;
    return String(raw[index + 1])
      .trimStart()
      .toLowerCase()
      .startsWith('text/event-stream');
  }
  return false;
}
