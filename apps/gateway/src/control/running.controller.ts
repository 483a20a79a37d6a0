import { Controller, Header, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';

import { getHealth, rooms, type Health, type Room } from '#contracts';
import { Invoker } from '#invocation';
import { Messenger } from '#messaging';

import { CallMetrics } from '../calls/call-metrics.ts';
import { docsPage } from './docs-page.ts';
import { MachineMetrics } from './machine-metrics.ts';
import { openapiDocument } from './openapi.ts';
import { operations } from './operations.ts';
import { ScaleMetrics } from './scale-metrics.ts';
import { Serves } from './serves.decorator.ts';

/** Milliseconds a room may take to say how it is. */
const patience = 2500;

@Controller()
export class RunningController {
  private readonly messenger: Messenger;
  private readonly metrics: CallMetrics;
  private readonly machines: MachineMetrics;
  private readonly scale: ScaleMetrics;
  private readonly invoker: Invoker;
  private readonly document = openapiDocument();
  private readonly page = docsPage(this.document);

  constructor(
    messenger: Messenger,
    @Inject(CallMetrics) metrics: CallMetrics,
    @Inject(MachineMetrics) machines: MachineMetrics,
    @Inject(ScaleMetrics) scale: ScaleMetrics,
    @Inject(Invoker) invoker: Invoker,
  ) {
    this.messenger = messenger;
    this.metrics = metrics;
    this.machines = machines;
    this.scale = scale;
    this.invoker = invoker;
  }

  @Serves(operations.getHealthz)
  @Header('content-type', 'text/plain; charset=utf-8')
  healthz(): string {
    return 'ok\n';
  }

  @Serves(operations.getReadyz)
  async readyz(@Res({ passthrough: true }) reply: FastifyReply) {
    const found = await Promise.all(rooms.map((room) => this.healthOf(room)));
    const ready = found.every((health) => health.ready);
    if (!ready) void reply.code(503);
    return { ready, rooms: found };
  }

  @Serves(operations.getMetrics)
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  getMetrics(): string {
    const calls = { serviceCount: this.invoker.table.serviceCount, held: this.invoker.held };
    return this.metrics.render(calls) + this.machines.render() + this.scale.render();
  }

  @Serves(operations.getOpenapi)
  @Header('content-type', 'application/json; charset=utf-8')
  openapi(): string {
    return JSON.stringify(this.document);
  }

  @Serves(operations.getDocs)
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
  docs(): string {
    return this.page;
  }

  private async healthOf(room: Room): Promise<Health> {
    try {
      return await this.messenger.ask(getHealth(room), {}, { timeoutMs: patience });
    } catch {
      return {
        room,
        ready: false,
        checks: [{ name: 'answers', ok: false, detail: 'the room does not answer' }],
      };
    }
  }
}
