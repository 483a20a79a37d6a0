import { once } from 'node:events';
import type { ServerResponse } from 'node:http';

import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

/** The answers that go on for as long as their callers listen; when the gateway stops, they are broken off. */
@Injectable()
export class OpenAnswers {
  private readonly open = new Set<OpenAnswer>();

  begin(reply: FastifyReply, contentType: 'text/event-stream' | 'application/x-ndjson'): OpenAnswer {
    const answer = new OpenAnswer(reply, contentType);
    this.open.add(answer);
    answer.signal.addEventListener('abort', () => this.open.delete(answer));
    return answer;
  }

  breakOff(): void {
    for (const answer of this.open) answer.breakOff();
  }
}

/** An answer that goes on for as long as the caller listens. Waits for a slow reader instead of piling up. */
class OpenAnswer {
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal;
  private readonly raw: ServerResponse;
  private readonly events: boolean;

  constructor(reply: FastifyReply, contentType: 'text/event-stream' | 'application/x-ndjson') {
    this.raw = reply.raw;
    this.events = contentType === 'text/event-stream';
    const gone = new AbortController();
    this.signal = gone.signal;
    const headers = reply.getHeaders();
    reply.hijack();
    this.raw.once('close', () => gone.abort());
    this.raw.writeHead(200, {
      ...(headers.traceparent ? { traceparent: String(headers.traceparent) } : {}),
      'content-type': this.events ? 'text/event-stream' : 'application/x-ndjson',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    this.raw.flushHeaders();
  }

  async send(value: object, event: { name?: string; id?: string } = {}): Promise<void> {
    const data = JSON.stringify(value);
    if (!this.events) return this.write(`${data}\n`);
    const id = event.id === undefined ? '' : `id: ${event.id}\n`;
    await this.write(`${event.name ? `event: ${event.name}\n` : ''}${id}data: ${data}\n\n`);
  }

  /** A comment that keeps proxies and the caller from taking the silence for the end. */
  async beat(): Promise<void> {
    if (this.events) await this.write(': here\n\n');
  }

  end(): void {
    this.raw.end();
  }

  /** Ends it so that the caller sees that something is missing. */
  breakOff(): void {
    this.raw.destroy();
  }

  private async write(text: string): Promise<void> {
    if (this.signal.aborted || this.raw.write(text)) return;
    await once(this.raw, 'drain', { signal: this.signal }).catch(() => undefined);
  }
}
