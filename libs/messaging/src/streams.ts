import {
  DiscardPolicy,
  jetstreamManager,
  PersistMode,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { nanos, type NatsConnection } from '@nats-io/transport-node';

import { CestxError, endpointsBucket, routesBucket, triggersBucket } from '#contracts';

const day = 86_400_000;
type Stream = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects' | 'retention'>;

export const streamNames = {
  commands: 'COMMANDS',
  events: 'EVENTS',
  feeds: 'FEEDS',
  traces: 'TRACES',
  stats: 'STATS',
  dead: 'DEAD_LETTERS',
  app: 'APP',
  calls: 'CALLS',
} as const;

/** Every stream of the platform. Limits keep a runaway from filling the disk; traces and samples may lose what a killed broker held. */
const streams: Stream[] = [
  {
    name: streamNames.commands,
    subjects: ['cestx.command.>'],
    retention: RetentionPolicy.Workqueue,
    max_age: nanos(7 * day),
    // A full queue refuses, so that a sender hears of it, instead of dropping the oldest.
    discard: DiscardPolicy.New,
    max_bytes: 256 * 1024 ** 2,
    duplicate_window: nanos(600_000),
  },
  {
    name: streamNames.events,
    subjects: ['cestx.event.>'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(7 * day),
    max_bytes: 512 * 1024 ** 2,
    duplicate_window: nanos(600_000),
  },
  {
    name: streamNames.feeds,
    subjects: ['cestx.feed.logs.>'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(3 * day),
    max_bytes: 512 * 1024 ** 2,
  },
  {
    name: streamNames.traces,
    subjects: ['cestx.feed.traces.*'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(day),
    max_bytes: 128 * 1024 ** 2,
    persist_mode: PersistMode.Async,
  },
  {
    name: streamNames.stats,
    subjects: ['cestx.feed.stats.>'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(day),
    max_bytes: 256 * 1024 ** 2,
    persist_mode: PersistMode.Async,
  },
  {
    // Read by consumers of functions, each at its own place, and again by those that are deployed later.
    name: streamNames.app,
    subjects: ['cestx.app.>'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(7 * day),
    // A full stream refuses, so that a publisher hears of it; what every function has dealt with is pruned before.
    discard: DiscardPolicy.New,
    max_bytes: 2 * 1024 ** 3,
    duplicate_window: nanos(120_000),
  },
  {
    name: streamNames.calls,
    subjects: ['cestx.call.>'],
    retention: RetentionPolicy.Workqueue,
    max_age: nanos(7 * day),
    discard: DiscardPolicy.New,
    max_bytes: 1024 ** 3,
    duplicate_window: nanos(600_000),
  },
  {
    name: streamNames.dead,
    subjects: ['cestx.dead.>'],
    retention: RetentionPolicy.Limits,
    max_age: nanos(30 * day),
    max_bytes: 256 * 1024 ** 2,
  },
];

/** Makes what streams and buckets are missing and checks that the server took what we asked for. Safe to run by every process at once. */
export async function ensureStreams(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection);
  for (const stream of streams) {
    const wanted: Stream = { storage: StorageType.File, allow_direct: true, ...stream };
    const info = await manager.streams.add(wanted).catch(async (error: unknown) => {
      // In use with other settings: an older version of us made it. What cannot be changed is checked below.
      if (error instanceof Error && /already in use/i.test(error.message)) {
        const { name, retention: _retention, storage: _storage, persist_mode: _mode, ...changeable } = wanted;
        return manager.streams.update(name, changeable);
      }
      throw error;
    });
    if (info.config.retention !== wanted.retention || !sameSubjects(info.config.subjects, wanted.subjects)) {
      throw new CestxError(
        'unavailable',
        `Stream ${wanted.name} exists with other settings; rename or remove it (nats stream rm ${wanted.name}).`,
      );
    }
  }
  const kvm = new Kvm(connection);
  for (const bucket of [endpointsBucket, routesBucket, triggersBucket])
    await kvm.create(bucket, { history: 1 });
}

function sameSubjects(a: string[], b: string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}
