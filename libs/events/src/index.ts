export { type CloudEvent, type EventAttributes } from './cloud-event.ts';
export { topicOfType } from './event-topic.ts';
export { httpHeadersOf, readHttpEvents, type HttpHeaders } from './http-binding.ts';
export { batchMediaType, eventMediaType, readJsonEvent, writeJsonEvent } from './json-format.ts';
export { matchesEvent } from './match-event.ts';
export { natsHeadersOf, readNatsEvent } from './nats-binding.ts';
