import type { Dispatcher } from 'undici';

import { CestxError } from '#contracts';

import type { CallTrace } from './call-trace.ts';
import type { CallServices } from './forward-call.ts';
import type { HeldCall, Slot, Target } from './target.ts';

/** A request of our own to a function, with its whole body at hand. */
export interface FunctionRequest {
  readonly method: string;
  /** The path and query the function sees. */
  readonly path: string;
  /** Names in lower case; `host`, `traceparent` and the length are added. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** Bytes of the answer's body that are kept; reading stops there. */
  readonly maxAnswer: number;
  readonly trace: CallTrace;
  readonly signal?: AbortSignal;
}

export interface FunctionAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** The body was longer than `maxAnswer`. */
  readonly truncated: boolean;
  readonly machine: string;
}

/** How long a machine that took no connection is passed over. */
const avoidFor = 500;

/**
 * One request on its way to a machine. A machine's count goes up before it leaves and down when the exchange is over, exactly
 * once each; it is sent to another machine only when no byte of it left. Ends in exactly one of its two callbacks.
 */
export class SentRequest implements Dispatcher.DispatchHandler, HeldCall {
  readonly trace: CallTrace;
  holdUntil = 0;
  private readonly chunks: Buffer[] = [];
  private received = 0;
  private status = 0;
  private headers: FunctionAnswer['headers'] = {};
  private slot: Slot | null = null;
  private machine = '';
  private controller: Dispatcher.DispatchController | null = null;
  private timer: NodeJS.Timeout | undefined;
  private sent = false;
  private connectError: Error | null = null;
  private over = false;
  private readonly services: CallServices;
  private readonly target: Target;
  private readonly request: FunctionRequest;
  private readonly answered: (answer: FunctionAnswer) => void;
  private readonly failed: (error: CestxError) => void;
  private readonly onAbort = () => this.fail(new CestxError('cancelled', 'The call was cancelled.'));

  constructor(
    services: CallServices,
    target: Target,
    request: FunctionRequest,
    answered: (answer: FunctionAnswer) => void,
    failed: (error: CestxError) => void,
  ) {
    this.services = services;
    this.target = target;
    this.request = request;
    this.trace = request.trace;
    this.answered = answered;
    this.failed = failed;
  }

  start(): void {
    if (this.request.signal?.aborted) return this.onAbort();
    this.request.signal?.addEventListener('abort', this.onAbort, { once: true });
    this.place();
  }

  get reason(): CestxError | null {
    if (!this.connectError) return null;
    return new CestxError('function-unreachable', 'No machine of the function takes a connection.', {
      detail: this.connectError.message,
    });
  }

  private place(): void {
    const { held } = this.services;
    const choice = held.choose(this.target);
    if (typeof choice === 'string') held.hold(this.target, this, choice);
    else this.take(choice);
  }

  take(slot: Slot): void {
    const limit = this.target.route?.timeout ?? 0;
    // What the function may take begins here; waiting for a machine has a limit of its own.
    this.timer ??= setTimeout(
      () => this.fail(new CestxError('function-timeout', `The function did not answer within ${limit} ms.`)),
      limit,
    );
    this.slot = slot;
    this.machine = slot.machine;
    this.sent = false;
    this.services.table.begin(this.target, slot);
    const { method, path, body } = this.request;
    const host = this.target.route?.host ?? slot.endpoint.address;
    const headers = { ...this.request.headers, host, traceparent: this.trace.sending(slot.machine) };
    try {
      this.services.pools.of(slot).dispatch({ path, method, headers, body }, this);
    } catch (error) {
      this.release();
      this.fail(new CestxError('bad-request', 'The request cannot be passed on.', { detail: String(error) }));
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    this.sent = true;
    if (this.over) controller.abort(new Error('the call has ended'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: FunctionAnswer['headers'],
  ): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.over) return;
    const room = this.request.maxAnswer - this.received;
    this.received += chunk.length;
    this.chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (this.received > this.request.maxAnswer) {
      this.succeed();
      controller.abort(new Error('the answer is too long'));
    }
  }

  onResponseEnd(): void {
    this.release();
    this.succeed();
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.release();
    if (this.over) return;
    if (!this.sent) {
      this.connectError = error;
      this.place();
    } else {
      const text = 'The function closed the connection before it answered.';
      this.fail(new CestxError('function-unreachable', text, { detail: error.message }));
    }
  }

  refuse(error: CestxError): void {
    this.fail(error);
  }

  private release(): void {
    const { slot } = this;
    if (!slot) return;
    if (!this.sent) slot.avoidUntil = Date.now() + avoidFor;
    this.slot = null;
    this.controller = null;
    this.services.table.end(this.target, slot);
  }

  private succeed(): void {
    if (this.over) return;
    this.settle(this.status, null);
    this.answered({
      status: this.status,
      headers: this.headers,
      body: this.chunks.length === 1 ? (this.chunks[0] as Buffer) : Buffer.concat(this.chunks),
      truncated: this.received > this.request.maxAnswer,
      machine: this.machine,
    });
  }

  private fail(error: CestxError): void {
    if (this.over) return;
    const { controller } = this;
    this.settle(0, error.code);
    this.failed(error);
    controller?.abort(new Error('the call has ended'));
  }

  private settle(status: number, error: string | null): void {
    this.over = true;
    clearTimeout(this.timer);
    this.request.signal?.removeEventListener('abort', this.onAbort);
    this.services.held.forget(this.target, this);
    this.trace.ended(status, this.machine || null, error);
  }
}
