import {
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  type ConsumerConfig,
  type ConsumerMessages,
  type JetStreamManager,
  type JsMsg,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Logger } from 'pino';

/** Milliseconds between pulls; half of it is the heartbeat that notices a broker that went away. */
const pullExpires = 5000;
/** The server's code for "consumer already exists", with other settings. */
const alreadyExists = 10148;

export interface Consumption {
  /** Takes no further message and resolves when those under way are through. */
  stop(): Promise<void>;
}

/** Makes the durable if it is missing, has it follow `config` if it is there, and hands its messages to `handle`, at most `concurrency` at a time, until stopped. */
export async function consumeMessages(
  connection: NatsConnection,
  stream: string,
  config: Partial<ConsumerConfig> & { durable_name: string },
  concurrency: number,
  handle: (message: JsMsg) => Promise<void>,
  logger: Logger,
): Promise<Consumption> {
  const manager = await jetstreamManager(connection);
  await keepDurable(manager, stream, config);
  const underWay = new Set<Promise<void>>();
  let stopped = false;
  let current: ConsumerMessages | undefined;

  async function pull(): Promise<void> {
    const consumer = await jetstream(connection).consumers.get(stream, config.durable_name);
    current = await consumer.consume({ max_messages: concurrency, expires: pullExpires });
    // Stopped while it was being made. Not awaited: closing ends only by being iterated, below.
    if (stopped) void current.close();
    for await (const message of current) {
      const work: Promise<void> = handle(message).finally(() => underWay.delete(work));
      underWay.add(work);
      if (underWay.size >= concurrency) await Promise.race(underWay);
    }
  }

  async function loop(): Promise<void> {
    while (!stopped) {
      try {
        await pull();
      } catch (error) {
        if (stopped || connection.isClosed()) return;
        logger.warn({ err: error, durable: config.durable_name }, 'consumer stopped, starting it again');
      }
      if (!stopped) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        // Somebody may have deleted it by hand; what is unread is still in the stream.
        await keepDurable(manager, stream, config).catch(() => undefined);
      }
    }
  }

  const looping = loop();
  return {
    async stop() {
      stopped = true;
      await current?.close();
      await Promise.all(underWay);
      await looping;
    },
  };
}

/** An earlier version of the platform may have made it with other settings; what it has read stays read. */
async function keepDurable(
  manager: JetStreamManager,
  stream: string,
  config: Partial<ConsumerConfig> & { durable_name: string },
): Promise<void> {
  try {
    await manager.consumers.add(stream, config);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== alreadyExists) throw error;
    await manager.consumers.update(stream, config.durable_name, config);
  }
}
