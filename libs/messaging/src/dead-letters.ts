import type { JsMsg } from '@nats-io/jetstream';

import { fromHeaders, type Publisher } from './publisher.ts';

/**
 * Keeps a copy of what cannot be handled, with the reason. The caller takes the original off its queue afterwards;
 * a kill in between stores the copy again under the same id, which the broker drops.
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
      'cestx-dead-reason': oneLine(reason, 500),
      'cestx-dead-attempts': String(deliveryCount),
    },
  });
}

/** A header, and the reason of a term, are one line of plain characters; a reason may quote what a stranger wrote. */
export function oneLine(text: string, length: number): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, length);
}
