import type { JsMsg } from '@nats-io/jetstream';

import { fromHeaders, type Publisher } from './publisher.ts';

/**
 * Keeps a copy of what cannot be handled, with the reason, then takes it off its queue. The copy is stored before the original goes;
 * a kill in between stores it again under the same id, which the broker drops.
 */
export async function deadLetter(
  publisher: Publisher,
  message: JsMsg,
  durable: string,
  reason: string,
): Promise<void> {
  const { stream, streamSequence, deliveryCount } = message.info;
  await publisher.publish(`cestx.dead.${stream.toLowerCase()}.${durable}`, message.data, {
    messageId: `dead-${stream}-${streamSequence}-${durable}`,
    headers: {
      ...fromHeaders(message.headers),
      'cestx-dead-subject': message.subject,
      'cestx-dead-sequence': String(streamSequence),
      // A header is one line; a reason may quote what a stranger wrote.
      'cestx-dead-reason': reason.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 500),
      'cestx-dead-attempts': String(deliveryCount),
    },
  });
  message.term(reason.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 100));
}
