export { connectNats } from './connect.ts';
export { EventStreams, type Backlog, type LeasedMessage } from './event-streams.ts';
export { Feeds, type FeedItem } from './feeds.ts';
export {
  AnswerQuery,
  HandleCommand,
  ListenTo,
  ListenToEnds,
  type CommandEnd,
  type MessageContext,
  type Outcome,
  type Write,
} from './handlers.ts';
export { JetStreamServer } from './jetstream.server.ts';
export { KeyValues } from './key-values.ts';
export { Messenger } from './messenger.ts';
export { JetStreamObjects } from './jetstream-objects.ts';
export { Objects } from './objects.ts';
export { OutboxRelay } from './outbox-relay.ts';
export { failpoint, setFailpoints } from './failpoints.ts';
export { PassErrors } from './pass-errors.filter.ts';
export { Publisher } from './publisher.ts';
export { S3Objects } from './s3-objects.ts';
export { ensureStreams, streamNames } from './streams.ts';
