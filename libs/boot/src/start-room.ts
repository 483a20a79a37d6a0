import 'reflect-metadata';

import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { Logger } from 'pino';
import type { z } from 'zod';

import * as contracts from '#contracts';
import type { CommandType, QueryType, Room } from '#contracts';
import {
  connectNats,
  ensureStreams,
  EventStreams,
  Feeds,
  JetStreamObjects,
  JetStreamServer,
  KeyValues,
  Messenger,
  Objects,
  OutboxRelay,
  PassErrors,
  Publisher,
  S3Objects,
  setFailpoints,
} from '#messaging';
import { Database, isDatabaseAway, openDatabase } from '#storage';

import { checkHealth, healthControllerOf } from './health.controller.ts';
import { serveHealth } from './health-server.ts';
import { houseConfig, readEnvironment, s3Of, type Environment } from './house.config.ts';
import { LOGGER, makeLogger, nestLogger } from './logger.ts';
import { ROOM_CONFIG, type RoomDefinition } from './room.ts';
import { traceKeeping } from './trace-keeping.ts';

export interface RunningRoom {
  name: Room;
  logger: Logger;
  /** Ends what is under way, gives back what is not, and closes every connection. */
  stop(): Promise<void>;
}

@Module({})
class HouseModule {
  static of(room: RoomDefinition, providers: Provider[]): DynamicModule {
    return {
      module: HouseModule,
      global: true,
      controllers: [healthControllerOf(room.name)],
      providers,
      exports: providers,
      imports: [],
    };
  }
}

@Module({})
class RootModule {}

/** Starts a room: checks its environment, connects, brings its tables and streams up to date, then takes messages. */
export async function startRoom<C extends z.ZodObject>(
  room: RoomDefinition<C>,
  environment: Environment,
): Promise<RunningRoom> {
  const house = readEnvironment(houseConfig, environment);
  const s3 = s3Of(house);
  const config = readEnvironment(room.config, environment);
  const logger = makeLogger({ level: house.CESTX_LOG_LEVEL, name: room.name, file: house.CESTX_LOG_FILE });
  if (house.CESTX_FAILPOINTS) {
    logger.warn({ failpoints: house.CESTX_FAILPOINTS }, 'this process breaks on purpose');
    setFailpoints(house.CESTX_FAILPOINTS);
  }
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse())
      await closer().catch((error: unknown) => logger.warn({ err: error }, 'while stopping'));
  };
  try {
    const connection = await connectNats(house.NATS_URL, `cestx-${room.name}`);
    closers.push(() => connection.close());
    await ensureStreams(connection);
    const database = await openWhenThere(() =>
      openDatabase({ url: house.DATABASE_URL, entities: room.entities, migrations: room.migrations }),
    );
    closers.push(() => database.close());

    const publisher = new Publisher(connection);
    const feeds = new Feeds(connection, publisher);
    const messenger = new Messenger(connection, publisher);
    messenger.watchLink();
    const keeping = traceKeeping();
    keeping?.exporter.connect(feeds);
    closers.push(async () => {
      await keeping?.flush();
      keeping?.exporter.disconnect(feeds);
    });
    const relay = new OutboxRelay(database, publisher, room.name, logger);
    closers.push(() => relay.stop());

    const providers: Provider[] = [
      { provide: ROOM_CONFIG, useValue: config },
      { provide: LOGGER, useValue: logger },
      { provide: Database, useValue: database },
      { provide: Messenger, useValue: messenger },
      { provide: Feeds, useValue: feeds },
      { provide: EventStreams, useValue: new EventStreams(connection, publisher) },
      { provide: KeyValues, useValue: new KeyValues(connection) },
      { provide: Objects, useValue: s3 ? new S3Objects(s3) : new JetStreamObjects(connection) },
    ];
    const server = new JetStreamServer({
      connection,
      database,
      publisher,
      room: room.name,
      logger,
      expected: expectedOf(room.name),
    });
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(
      { module: RootModule, imports: [HouseModule.of(room, providers), room.module] },
      { strategy: server, logger: nestLogger(logger), abortOnError: false },
    );
    app.useGlobalFilters(new PassErrors());
    closers.push(() => app.close());
    await app.listen();
    if (house.CESTX_HEALTH_PORT > 0) {
      const health = await serveHealth(house.CESTX_HEALTH_PORT, () =>
        checkHealth(room.name, database, messenger),
      );
      closers.push(async () => health.close());
    }
    relay.kick();
    const pruning = setInterval(() => void database.pruneInbox().catch(() => undefined), 3_600_000);
    closers.push(async () => clearInterval(pruning));
    logger.info('room is ready');
    return { name: room.name, logger, stop: close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The commands and queries the contracts give to a room. */
function expectedOf(room: Room): (CommandType | QueryType)[] {
  const values: unknown[] = Object.values(contracts);
  return values.filter(isHandled).filter((type) => type.room === room);
}

function isHandled(value: unknown): value is CommandType | QueryType {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    (value.kind === 'command' || value.kind === 'query')
  );
}

/** A database that is only just starting is waited for. */
async function openWhenThere(open: () => Promise<Database>, patience = 30_000): Promise<Database> {
  const deadline = Date.now() + patience;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!isDatabaseAway(error) || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
