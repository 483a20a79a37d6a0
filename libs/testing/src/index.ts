export { eventually, type EventuallyOptions } from './eventually.ts';
export { startTestServers, type TestServers } from './test-servers.ts';
export { startS3, type TestS3 } from './test-s3.ts';
export {
  baseImage,
  dockerAvailable,
  dockerMissing,
  languageAvailable,
  languageImageAvailable,
  engineHasRuntime,
  s3ServerAvailable,
} from './what-is-here.ts';
export { freePort } from '#servers';
