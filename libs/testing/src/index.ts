export { eventually, type EventuallyOptions } from './eventually.ts';
export { ownEnginePossible, startOwnEngine, type OwnEngine } from './own-engine.ts';
export { startTestServers, type TestServers } from './test-servers.ts';
export { startRegistry, type TestRegistry } from './test-registry.ts';
export { startS3, type TestS3 } from './test-s3.ts';
export {
  baseImage,
  crunAvailable,
  dockerAvailable,
  dockerMissing,
  languageAvailable,
  languageImageAvailable,
  languageImages,
  registryAvailable,
  s3ServerAvailable,
} from './what-is-here.ts';
export { freePort } from '#servers';
