import { randomUUID } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { createServer } from 'node:net';

import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { startRoom, type RunningRoom } from '#boot';
import {
  ListRoutes,
  RegisterRoute,
  RestoreTraffic,
  ShiftTraffic,
  WithdrawRoute,
  defaultScale,
  routeEntrySchema,
  routesBucket,
  type CommandType,
  type PayloadOf,
  type RouteEntry,
} from '#contracts';
import { connectNats, KeyValues, Messenger, Publisher } from '#messaging';
import { eventually, freePort, startTestServers, type TestServers } from '#testing';

import { routesRoom } from './routes.module.ts';

let servers: TestServers;
let environment: Record<string, string>;
let connection: Awaited<ReturnType<typeof connectNats>>;
let messenger: Messenger;
let database: pg.Client;
let dnsPort: number;
const entries = new Map<string, RouteEntry>();
const rooms: RunningRoom[] = [];

beforeAll(async () => {
  servers = await startTestServers();
  dnsPort = await freePort();
  environment = {
    NATS_URL: servers.natsUrl,
    DATABASE_URL: await servers.databaseUrl('routes'),
    CESTX_LOG_LEVEL: 'silent',
    CESTX_DNS_PORT: String(dnsPort),
  };
  await start();
  connection = await connectNats(servers.natsUrl, 'test');
  messenger = new Messenger(connection, new Publisher(connection));
  await new KeyValues(connection).watch(routesBucket, routeEntrySchema, (key, entry) => {
    if (entry) entries.set(key, entry);
    else entries.delete(key);
  });
  database = new pg.Client({ connectionString: environment['DATABASE_URL'] });
  await database.connect();
});

beforeEach(async () => {
  if (rooms.length === 0) await start();
  for (const route of (await messenger.ask(ListRoutes, {})).items) {
    await order(WithdrawRoute, { project: route.project, function: route.function, createdBy: null });
  }
  await eventually(() => entries.size === 0);
});

afterEach(async () => {
  while (rooms.length > 1) await rooms.pop()?.stop();
});

afterAll(async () => {
  for (const room of rooms) await room.stop();
  await database?.end();
  await connection?.close();
  await servers?.stop();
});

async function start(more: Record<string, string> = {}): Promise<RunningRoom> {
  const room = await startRoom(routesRoom, { ...environment, ...more });
  rooms.push(room);
  return room;
}

async function stopAll(): Promise<void> {
  for (const room of rooms.splice(0)) await room.stop();
}

/** Sends a command and waits for its end: the payload of the done or of the failed event. */
async function order<C extends CommandType>(
  command: C,
  payload: PayloadOf<C>,
  messageId: string = randomUUID(),
): Promise<unknown> {
  const id = randomUUID();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const ends = [command.done, command.failed].map((event) => messenger.subscribe(event, id, resolve));
  await connection.flush();
  await messenger.send(command, id, payload, { messageId });
  const end = await promise;
  for (const unsubscribe of ends) unsubscribe();
  return end;
}

async function resolve4(name: string, port = dnsPort): Promise<string[] | string> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver.resolve4(name).catch((error: NodeJS.ErrnoException) => String(error.code));
}

const cart = { project: 'shop', function: 'cart' };
const limits = { timeout: 5000, concurrency: 0, scale: defaultScale };
const half = (revision: string) => ({ revision, percent: 50 });
const all = (revision: string) => [{ revision, percent: 100 }];

describe('the routes room', () => {
  it('gives a function its host, its record and an entry without traffic', async () => {
    const done = await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    expect(done).toEqual({ host: 'cart.shop.localhost', created: true });
    await eventually(async () => expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']));
    await eventually(() => entries.has('shop.cart'));
    expect(entries.get('shop.cart')).toMatchObject({ host: 'cart.shop.localhost', traffic: [] });
    expect(await messenger.ask(ListRoutes, { project: 'shop' })).toEqual({
      items: [{ ...cart, host: 'cart.shop.localhost', traffic: [] }],
    });
    expect((await messenger.ask(ListRoutes, { project: 'other' })).items).toEqual([]);
  });

  it('registers a route once, keeps its traffic, and remembers who made it', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits });
    expect(await order(RegisterRoute, { ...cart, deploymentId: 'd1' })).toMatchObject({ created: true });
    expect(await order(RegisterRoute, { ...cart, deploymentId: 'd2' })).toMatchObject({ created: false });
    expect((await messenger.ask(ListRoutes, {})).items[0]?.traffic).toEqual(all('cart-v1'));
  });

  it('takes back with a failed deployment only what that one made', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    expect(await order(WithdrawRoute, { ...cart, createdBy: 'd2' })).toEqual({ withdrawn: false });
    expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']);
    expect(await order(WithdrawRoute, { ...cart, createdBy: 'd1' })).toEqual({ withdrawn: true });
    await eventually(async () => expect(await resolve4('cart.shop.localhost')).toBe('ENOTFOUND'));
    await eventually(() => !entries.has('shop.cart'));
    expect(await order(WithdrawRoute, { ...cart, createdBy: null })).toEqual({ withdrawn: false });
    expect((await database.query('SELECT 1 FROM route')).rows).toEqual([]);
  });

  it('shifts traffic, tells what was before, and gives it back', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    expect(await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits })).toEqual({
      previous: [],
    });
    expect(await order(ShiftTraffic, { ...cart, traffic: all('cart-v2'), ...limits, timeout: 7000 })).toEqual(
      {
        previous: all('cart-v1'),
      },
    );
    await eventually(() => entries.get('shop.cart')?.timeout === 7000);
    expect(entries.get('shop.cart')?.traffic).toEqual(all('cart-v2'));

    const restore = { ...cart, revision: 'cart-v2', previous: 'cart-v1', ...limits };
    expect(await order(RestoreTraffic, restore)).toEqual({});
    await eventually(() => entries.get('shop.cart')?.timeout === 5000);
    expect(entries.get('shop.cart')?.traffic).toEqual(all('cart-v1'));
  });

  it('leaves the traffic alone when the shift that is undone never happened', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits });
    const restore = { ...cart, revision: 'cart-v2', previous: null, ...limits };
    expect(await order(RestoreTraffic, restore)).toEqual({});
    expect((await messenger.ask(ListRoutes, {})).items[0]?.traffic).toEqual(all('cart-v1'));
    expect(await order(RestoreTraffic, { ...restore, function: 'nobody' })).toEqual({});
  });

  it('takes a first revision out of traffic and keeps the host until it is withdrawn', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits });
    await order(RestoreTraffic, { ...cart, revision: 'cart-v1', previous: null, ...limits });
    await eventually(() => entries.get('shop.cart')?.traffic.length === 0);
    expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']);
  });

  it('refuses traffic that is not whole, or that has no route', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    const shift = (traffic: PayloadOf<typeof ShiftTraffic>['traffic']) =>
      order(ShiftTraffic, { ...cart, traffic, ...limits });
    expect(await shift([half('cart-v1')])).toMatchObject({ code: 'bad-request' });
    expect(await shift([half('cart-v1'), half('cart-v1')])).toMatchObject({ code: 'bad-request' });
    expect(await shift([half('cart-v1'), half('cart-v2')])).toEqual({ previous: [] });
    expect(
      await order(ShiftTraffic, {
        project: 'shop',
        function: 'nobody',
        traffic: all('nobody-v1'),
        ...limits,
      }),
    ).toMatchObject({ code: 'not-found' });
  });

  it('does a command that comes twice once', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    const messageId = randomUUID();
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits }, messageId);
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v2'), ...limits });
    // Past the broker's own memory of message ids, the inbox has to know it: the same id on another subject gets through.
    const publisher = new Publisher(connection);
    await publisher.publish(
      `cestx.command.routes.shift-traffic.${randomUUID()}`,
      JSON.stringify({ ...cart, traffic: all('cart-v1'), ...limits }),
      { headers: { 'Nats-Msg-Id': messageId, 'cestx-version': '1' } },
    );
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    expect((await messenger.ask(ListRoutes, {})).items[0]?.traffic).toEqual(all('cart-v2'));
  });

  it('knows its names again after a restart, and another process hears of every change', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await stopAll();
    expect(await resolve4('cart.shop.localhost')).toBe('ECONNREFUSED');
    await start();
    expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']);

    const otherPort = await freePort();
    await start({ CESTX_DNS_PORT: String(otherPort) });
    for (let n = 0; n < 5; n += 1) {
      const name = `f${n}`;
      await order(RegisterRoute, { project: 'default', function: name, deploymentId: 'd1' });
      for (const port of [dnsPort, otherPort]) {
        await eventually(async () =>
          expect(await resolve4(`${name}.localhost`, port)).toEqual(['127.0.0.1']),
        );
      }
    }
  });

  it('mends copies of routes that were lost, are old, or belong to none', async () => {
    const publisher = new Publisher(connection);
    const write = (key: string, value: object | null) =>
      publisher.publish(`$KV.${routesBucket}.${key}`, value ? JSON.stringify(value) : '', {
        headers: value ? {} : { 'KV-Operation': 'DEL' },
      });
    for (const name of ['lost', 'old']) {
      await order(RegisterRoute, { project: 'default', function: name, deploymentId: 'd1' });
      await order(ShiftTraffic, {
        project: 'default',
        function: name,
        traffic: all(`${name}-v2`),
        ...limits,
      });
    }
    const right = await eventually(() => {
      const entry = entries.get('default.old');
      return entry?.traffic.length === 1 ? entry : undefined;
    });
    await write('default.lost', null);
    await write('default.old', { ...right, traffic: all('old-v1') });
    await write('default.stranger', { ...right, function: 'stranger', host: 'stranger.localhost' });
    await eventually(() => entries.has('default.stranger') && !entries.has('default.lost'));
    await eventually(
      () => {
        expect([...entries.keys()].toSorted()).toEqual(['default.lost', 'default.old']);
        expect(entries.get('default.old')?.traffic).toEqual(all('old-v2'));
        expect(entries.get('default.lost')?.traffic).toEqual(all('lost-v2'));
        return true;
      },
      { timeoutMs: 15_000 },
    );
  });

  it('never registers after it was told to undo the registration', async () => {
    const publisher = new Publisher(connection);
    const [doIt, undoIt] = [randomUUID(), randomUUID()];
    const undone = Promise.withResolvers<unknown>();
    const unsubscribe = messenger.subscribe(WithdrawRoute.done, 'undo', undone.resolve);
    await connection.flush();
    await publisher.publish(
      'cestx.command.routes.withdraw-route.undo',
      JSON.stringify({ ...cart, createdBy: 'd1' }),
      {
        messageId: undoIt,
        headers: { 'cestx-version': '1', 'cestx-undoes': doIt },
      },
    );
    expect(await undone.promise).toEqual({ withdrawn: false });
    unsubscribe();
    await messenger.send(RegisterRoute, 'late', { ...cart, deploymentId: 'd1' }, { messageId: doIt });
    await order(RegisterRoute, { project: 'default', function: 'behind', deploymentId: 'd1' });
    await eventually(async () => expect(await resolve4('behind.localhost')).toEqual(['127.0.0.1']));
    expect((await messenger.ask(ListRoutes, { project: 'shop' })).items).toEqual([]);
    expect(await resolve4('cart.shop.localhost')).toBe('ENOTFOUND');
  });

  it('moves its routes along when the domain changes', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await order(ShiftTraffic, { ...cart, traffic: all('cart-v1'), ...limits });
    await stopAll();
    await start({ CESTX_DOMAIN: 'fn.example.com', CESTX_DNS_ADDRESS: '192.0.2.7' });
    expect(await resolve4('cart.shop.fn.example.com')).toEqual(['192.0.2.7']);
    await eventually(() => entries.get('shop.cart')?.host === 'cart.shop.fn.example.com');
    expect(entries.get('shop.cart')?.traffic).toEqual(all('cart-v1'));
    await stopAll();
  });

  it('goes on answering while PostgreSQL and the broker are away, and catches up', async () => {
    await order(RegisterRoute, { ...cart, deploymentId: 'd1' });
    await eventually(async () => expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']));
    database.on('error', () => undefined);
    const restarts = Promise.all([servers.restartPostgres(), servers.restartNats()]);
    expect(await resolve4('cart.shop.localhost')).toEqual(['127.0.0.1']);
    await restarts;
    database = new pg.Client({ connectionString: environment['DATABASE_URL'] });
    await database.connect();
    await order(RegisterRoute, { project: 'default', function: 'late', deploymentId: 'd1' });
    await eventually(async () => expect(await resolve4('late.localhost')).toEqual(['127.0.0.1']));
  });

  it('says which port is taken and which variable to set', async () => {
    const taken = createServer();
    const port = await new Promise<number>((done) => {
      taken.listen(0, '127.0.0.1', () => {
        const address = taken.address();
        done(typeof address === 'object' && address ? address.port : 0);
      });
    });
    await expect(start({ CESTX_DNS_PORT: String(port) })).rejects.toThrow(
      new RegExp(`Port ${port} of 127.0.0.1.*taken.*CESTX_DNS_PORT`),
    );
    taken.close();
  });
});
