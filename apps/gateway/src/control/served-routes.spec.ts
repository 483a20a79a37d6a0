import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LOGGER, ROOM_CONFIG } from '#boot';
import { Invoker, TraceBudget } from '#invocation';
import { EventStreams, Feeds, Messenger, Objects } from '#messaging';

import { CallEdge } from '../calls/call-edge.ts';
import { CallMetrics } from '../calls/call-metrics.ts';
import { createControlApp } from '../http-edge.ts';
import { KEY_CHECKER } from './key.guard.ts';
import { MachineMetrics } from './machine-metrics.ts';
import { operations } from './operations.ts';
import { ScaleMetrics } from './scale-metrics.ts';

let app: Awaited<ReturnType<typeof createControlApp>>;
const routes: string[] = [];

beforeAll(async () => {
  const invoker = new Invoker({ maxBody: 1, holdFor: 1, maxHeld: 1, trustProxy: false });
  const metrics = new CallMetrics();
  const edge = new CallEdge({
    invoker,
    metrics,
    budget: new TraceBudget(0),
    domain: 'localhost',
    maxTunnels: 1,
  });
  const unused = (token: unknown) => ({ provide: token as string, useValue: {} });
  app = await createControlApp(
    [
      ...[ROOM_CONFIG, LOGGER, Messenger, Feeds, Objects, EventStreams, MachineMetrics].map(unused),
      { provide: KEY_CHECKER, useValue: () => false },
      { provide: CallMetrics, useValue: metrics },
      { provide: ScaleMetrics, useValue: new ScaleMetrics() },
      { provide: Invoker, useValue: invoker },
    ],
    edge,
    pino({ level: 'silent' }),
    { headersMs: 1000, requestMs: 1000 },
  );
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRoute', ({ method, url }: { method: string | string[]; url: string }) => {
      for (const one of [method].flat()) routes.push(`${one} ${url}`);
    });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
});

afterAll(() => app?.close());

describe('the routes of the server', () => {
  it('are the described operations and nothing else', () => {
    const described = Object.values(operations).map(({ method, path }) => `${method} ${path}`);
    expect(routes.filter((route) => !route.startsWith('HEAD ')).sort()).toEqual(described.sort());
  });

  it('all need the key but those that are described as open', async () => {
    const server = app.getHttpAdapter().getInstance();
    for (const { method, path, open } of Object.values(operations)) {
      if (open) continue;
      const url = path.replace(':traceId', 'a'.repeat(32)).replaceAll(/:[a-z]+/g, 'x');
      expect((await server.inject({ method, url })).statusCode, `${method} ${url}`).toBe(401);
    }
  });
});
