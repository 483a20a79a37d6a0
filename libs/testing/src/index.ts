export { eventually, type EventuallyOptions } from './eventually.ts';
export { startTestServers, type TestServers } from './test-servers.ts';
export { startRegistry, type TestRegistry } from './test-registry.ts';
export { startS3, type TestS3 } from './test-s3.ts';
export {
  baseImage,
  dockerAvailable,
  dockerMissing,
  languageAvailable,
  languageImageAvailable,
  engineHasRuntime,
  registryAvailable,
  s3ServerAvailable,
} from './what-is-here.ts';
export { freePort } from '#servers';
