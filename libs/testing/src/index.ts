export { eventually, type EventuallyOptions } from './eventually.ts';
export { startTestServers, type TestServers } from './test-servers.ts';
export { baseImage, dockerAvailable, dockerMissing } from './what-is-here.ts';
export { freePort } from '#servers';
