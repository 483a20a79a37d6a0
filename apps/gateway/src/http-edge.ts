import 'reflect-metadata';

import multipart from '@fastify/multipart';
import {
  Inject,
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type DynamicModule,
  type OnApplicationBootstrap,
  type Provider,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { CestxError, ScaleDecided } from '#contracts';
import { Invoker, TraceBudget } from '#invocation';
import { EventStreams, Feeds, KeyValues, Messenger, Objects } from '#messaging';

import { CallEdge } from './calls/call-edge.ts';
import { CallMetrics } from './calls/call-metrics.ts';
import { createEdgeServer, type Patience } from './calls/edge-server.ts';
import { adminKey, keyChecker } from './control/admin-key.ts';
import { DeploymentsController } from './control/deployments.controller.ts';
import { EventsController } from './control/events.controller.ts';
import { FunctionsController } from './control/functions.controller.ts';
import { KEY_CHECKER, KeyGuard } from './control/key.guard.ts';
import { LogsController } from './control/logs.controller.ts';
import { MachineMetrics } from './control/machine-metrics.ts';
import { MachinesController } from './control/machines.controller.ts';
import { OpenAnswers } from './control/open-answers.ts';
import { ProblemFilter } from './control/problem.filter.ts';
import { RequestTraceInterceptor } from './control/request-trace.interceptor.ts';
import { RunningController } from './control/running.controller.ts';
import { ScaleMetrics } from './control/scale-metrics.ts';
import { TemplatesController } from './control/templates.controller.ts';
import { TracesController } from './control/traces.controller.ts';
import type { GatewayConfig } from './gateway.config.ts';

/** Milliseconds a stopping gateway waits for the calls under way. */
const patience = 10_000;
/** Bytes of a JSON body, and of one that carries events. */
const maxJson = 64 * 1024;
const maxEvents = 8 * 1024 ** 2;

@Module({})
class ControlModule {
  static with(providers: Provider[]): DynamicModule {
    return {
      module: ControlModule,
      controllers: [
        FunctionsController,
        EventsController,
        DeploymentsController,
        LogsController,
        MachinesController,
        TemplatesController,
        TracesController,
        RunningController,
      ],
      providers: [
        ...providers,
        OpenAnswers,
        { provide: APP_GUARD, useClass: KeyGuard },
        { provide: APP_INTERCEPTOR, useClass: RequestTraceInterceptor },
      ],
    };
  }
}

/**
 * The gateway's HTTP side: one server, whose calls go straight to the edge and whose control calls go to a Nest application
 * beside the room's own. It listens once the endpoint table is filled.
 */
@Injectable()
export class HttpEdge implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly config: GatewayConfig;
  private readonly logger: Logger;
  private readonly house: {
    messenger: Messenger;
    feeds: Feeds;
    keyValues: KeyValues;
    objects: Objects;
    streams: EventStreams;
  };
  private readonly metrics = new CallMetrics();
  private readonly invoker: Invoker;
  private control: NestFastifyApplication | undefined;
  private edge: CallEdge | undefined;

  constructor(
    @Inject(ROOM_CONFIG) config: GatewayConfig,
    @Inject(LOGGER) logger: Logger,
    messenger: Messenger,
    feeds: Feeds,
    keyValues: KeyValues,
    objects: Objects,
    streams: EventStreams,
  ) {
    this.config = config;
    this.logger = logger;
    this.house = { messenger, feeds, keyValues, objects, streams };
    this.invoker = new Invoker({
      maxBody: config.CESTX_MAX_BODY,
      holdFor: config.CESTX_HOLD_MS,
      maxHeld: config.CESTX_MAX_HELD_CALLS,
      trustProxy: config.CESTX_TRUST_PROXY,
      onWoken: (from, seconds) => this.metrics.recordColdStart(from, seconds),
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    const { config, house, invoker, metrics } = this;
    const scaleMetrics = new ScaleMetrics();
    house.messenger.subscribe(ScaleDecided, '*', (decision) => scaleMetrics.hear(decision));
    const edge = (this.edge = new CallEdge({
      invoker,
      metrics,
      budget: new TraceBudget(config.CESTX_TRACES_PER_SECOND),
      domain: config.CESTX_DOMAIN,
      maxTunnels: config.CESTX_MAX_TUNNELS,
    }));
    const isKey = keyChecker(await adminKey(config.CESTX_ADMIN_KEY_FILE));
    this.control = await createControlApp(
      [
        { provide: ROOM_CONFIG, useValue: config },
        { provide: LOGGER, useValue: this.logger },
        { provide: KEY_CHECKER, useValue: isKey },
        { provide: Messenger, useValue: house.messenger },
        { provide: Feeds, useValue: house.feeds },
        { provide: Objects, useValue: house.objects },
        { provide: EventStreams, useValue: house.streams },
        { provide: CallMetrics, useValue: metrics },
        { provide: MachineMetrics, useValue: new MachineMetrics(house.messenger) },
        { provide: ScaleMetrics, useValue: scaleMetrics },
        { provide: Invoker, useValue: invoker },
      ],
      edge,
      this.logger,
      { headersMs: config.CESTX_HEADERS_TIMEOUT_MS, requestMs: config.CESTX_REQUEST_TIMEOUT_MS },
    );
    await invoker.watch(house.keyValues, house.messenger);
    try {
      await this.control.listen(config.CESTX_PORT, config.CESTX_HOST);
    } catch (error) {
      throw listenError(error, config);
    }
  }

  /** Takes no new call, lets those under way end, and cuts off what has no end of its own. */
  async beforeApplicationShutdown(): Promise<void> {
    this.edge?.closeTunnels();
    if (this.control) {
      this.control.get(OpenAnswers).breakOff();
      const server = this.control.getHttpServer();
      const timer = setTimeout(() => server.closeAllConnections(), patience);
      await this.control.close();
      clearTimeout(timer);
    }
    await this.invoker.close();
  }
}

/** The control plane on a server that gives calls to the edge first. */
export async function createControlApp(
  providers: Provider[],
  edge: CallEdge,
  logger: Logger,
  patience: Patience,
): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    serverFactory: (handler: Parameters<typeof createEdgeServer>[1]) =>
      createEdgeServer(edge, handler, patience),
    // Of what is larger, an upload is read as a stream with a limit of its own, and an event has one of its own.
    bodyLimit: maxJson,
    forceCloseConnections: 'idle',
    // The edge answers what is no HTTP; Fastify's own handler would cut off the answers that are still on their way.
    clientErrorHandler: () => undefined,
  });
  const app = await NestFactory.create<NestFastifyApplication>(ControlModule.with(providers), adapter, {
    logger: false,
    abortOnError: false,
  });
  readBodies(app);
  await app.register(multipart);
  app.useGlobalFilters(new ProblemFilter(logger));
  return app;
}

/** The body of an event is kept as it came, whatever its type: it is read by what the headers say, and its bytes are the user's. */
function readBodies(app: NestFastifyApplication): void {
  const limits = { bodyLimit: maxEvents };
  app.useBodyParser('*', limits, (_request, body, done) => done(null, body));
  const parse = app.getHttpAdapter().getInstance().getDefaultJsonParser('error', 'error');
  app.useBodyParser('application/json', limits, (request, body, done) => {
    if (request.url?.startsWith('/v1/events')) return done(null, body);
    if (body.length > maxJson) {
      return done(new CestxError('too-large', `The body is larger than ${maxJson} bytes.`));
    }
    void parse(request as never, body.toString('utf8'), done as never);
  });
}

function listenError(error: unknown, config: GatewayConfig): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new CestxError(
      'conflict',
      `Port ${config.CESTX_PORT} is taken; free it, or choose another with CESTX_PORT.`,
    );
  }
  if (code === 'EACCES') {
    return new CestxError(
      'conflict',
      `Port ${config.CESTX_PORT} may not be opened by this user; choose one above 1023.`,
    );
  }
  return error;
}
