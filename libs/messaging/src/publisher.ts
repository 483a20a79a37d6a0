import { jetstream, type JetStreamClient } from '@nats-io/jetstream';
import { headers as makeHeaders, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';

import { CestxError } from '#contracts';

/** Milliseconds one try may take. A publish made while the link is down would run into its whole timeout, so tries are short. */
const tryTimeout = 1500;

/** Publishes to JetStream and returns only when the server has stored the message. */
export class Publisher {
  readonly #client: JetStreamClient;

  constructor(connection: NatsConnection) {
    this.#client = jetstream(connection);
  }

  /** Tries again with the same message id until `patience` milliseconds are over, then throws `unavailable`. */
  async publish(
    subject: string,
    payload: string | Uint8Array,
    options: {
      messageId?: string;
      headers?: Readonly<Record<string, string>> | MsgHdrs;
      patience?: number;
    } = {},
  ): Promise<void> {
    const headers = toHeaders(options.headers ?? {});
    const deadline = Date.now() + (options.patience ?? 5000);
    for (;;) {
      try {
        await this.#client.publish(subject, payload, {
          timeout: tryTimeout,
          headers,
          ...(options.messageId ? { msgID: options.messageId } : {}),
        });
        return;
      } catch (error) {
        if (Date.now() >= deadline) {
          throw new CestxError('unavailable', 'The message broker did not store the message.', {
            retryable: true,
            cause: error,
            detail: `publish to ${subject}: ${error instanceof Error ? error.message : String(error)}`,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}

export function toHeaders(values: Readonly<Record<string, string>> | MsgHdrs): MsgHdrs {
  if ('append' in values && typeof values.append === 'function') return values as MsgHdrs;
  const headers = makeHeaders();
  for (const [name, value] of Object.entries(values as Record<string, string>)) headers.set(name, value);
  return headers;
}

export function fromHeaders(headers: MsgHdrs | undefined): Record<string, string> {
  const values: Record<string, string> = {};
  for (const name of headers?.keys() ?? []) values[name] = headers?.get(name) ?? '';
  return values;
}
