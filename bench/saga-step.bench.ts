import { randomUUID } from 'node:crypto';

import { JetStreamServer, Messenger, OutboxRelay, Publisher, connectNats } from '#messaging';
import { openDatabase } from '#storage';
import { startRoom } from '#boot';
import * as contracts from '#contracts';
import {
  DeployFunction,
  DeploymentChanged,
  eventSettingsSchema,
  kebab,
  manifestSchema,
  type CommandType,
} from '#contracts';
import { startTestServers } from '#testing';
import { pino } from 'pino';

import { median, quantile, report } from './report.ts';

const runs = 150;
const module_ = new URL('../dist/apps/deployments/src/deployments.module.js', import.meta.url).href;
const { deploymentsRoom } = (await import(
  module_
)) as typeof import('../apps/deployments/src/deployments.module.ts');

const servers = await startTestServers();
const connection = await connectNats(servers.natsUrl, 'bench');
const room = await startRoom(deploymentsRoom, {
  NATS_URL: servers.natsUrl,
  DATABASE_URL: await servers.databaseUrl('deployments'),
  CESTX_LOG_LEVEL: 'warn',
});
const database = await openDatabase({
  url: await servers.databaseUrl('machines'),
  entities: [],
  migrations: [],
});
const publisher = new Publisher(connection);
const messenger = new Messenger(connection, publisher);
const logger = pino({ level: 'warn' });
const relay = new OutboxRelay(database, publisher, 'machines', logger);

/** The other rooms, reduced to what every handler has to do anyway: inbox, outbox, commit, acknowledge. */
const peer = new JetStreamServer({ connection, database, publisher, room: 'machines', logger, expected: [] });
const answers: Record<string, (payload: { [key: string]: string }) => object> = {
  BuildSource: (payload) => ({
    buildId: payload['buildId'],
    template: 'node',
    artifact: { kind: 'directory', path: '/', command: ['true'] },
  }),
  StartMachine: (payload) => ({ machineId: payload['machineId'], address: '127.0.0.1:1', ms: 1 }),
  RegisterRoute: () => ({ host: 'bench.localhost', created: true }),
  SubscribeLogs: () => ({ created: true }),
  ShiftTraffic: () => ({ previous: [] }),
  DrainMachines: () => ({ machineIds: [] }),
};
const commands = Object.values(contracts as Record<string, unknown>).filter(
  (value): value is CommandType =>
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    value.kind === 'command' &&
    'name' in value &&
    String(value.name) in answers,
);
for (const command of commands) {
  const tag = { kind: 'command', durable: kebab(command.name), command } as const;
  const handle = async (payload: { [key: string]: string }): Promise<object> => ({
    done: answers[command.name]?.(payload),
  });
  peer.addHandler(`command:${tag.durable}`, handle as never, false, { tag });
}
await new Promise<void>((resolve, reject) => {
  void peer.listen((error) => (error ? reject(error) : resolve()));
});

const settings = manifestSchema.parse({ name: 'bench' });
const times: number[] = [];
for (let run = 0; run < runs; run++) {
  const id = `b${randomUUID()}`;
  let last = 0;
  const ended = new Promise<void>((resolve) => {
    const stop = messenger.subscribe(DeploymentChanged, id, (deployment) => {
      const now = performance.now();
      // From one stored step to the next: command, handler, its end, and the saga's own transaction.
      if (last > 0) times.push(now - last);
      last = now;
      if (deployment.state === 'live') {
        stop();
        resolve();
      }
    });
  });
  await messenger.send(DeployFunction, id, {
    deploymentId: id,
    project: 'default',
    function: `bench-${run}`,
    sourceDigest: 'a'.repeat(64),
    build: { args: {} },
    settings,
    events: eventSettingsSchema.parse(settings),
    scale: settings.scale,
  });
  await ended;
}

const publishes: number[] = [];
const commits: number[] = [];
for (let turn = 0; turn < 500; turn++) {
  let started = performance.now();
  await publisher.publish('cestx.event.machines.machine-exited.bench', '{}', { messageId: randomUUID() });
  publishes.push(performance.now() - started);
  started = performance.now();
  await database.dataSource.query('INSERT INTO inbox (handler, message_id) VALUES ($1, $2)', [
    'bench',
    String(turn),
  ]);
  commits.push(performance.now() - started);
}
const bound = median(publishes) + median(commits);
report({
  name: 'durable saga step, p50',
  value: median(times),
  unit: 'ms',
  bound,
  gate: '<= 3 ms',
  met: median(times) <= 3,
});
report({ name: 'durable saga step, p99', value: quantile(times, 0.99), unit: 'ms', bound });

await peer.close();
await relay.stop();
await room.stop();
await database.close();
await connection.close();
await servers.stop();
