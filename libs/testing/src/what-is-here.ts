import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** The base image that images.mjs makes; builds of tests start from it because no registry can be reached. */
export const baseImage = 'cestx/node:24';

/** Why tests that need a Docker engine and the base image cannot run, or undefined when they can. */
export function dockerMissing(): string | undefined {
  if (!succeeds('docker', ['version', '--format', '{{.Server.Version}}'])) return 'no Docker engine answers';
  if (!succeeds('docker', ['image', 'inspect', baseImage]))
    return `image ${baseImage} is missing (npm run images)`;
  return undefined;
}

/** The images that builds of each language start from. */
export const languageImages = { node: baseImage, python: 'cestx/python:3', go: 'cestx/go:1' } as const;

/** For `test.skipIf(!languageImageAvailable(…))`; in CI it is never false. */
export function languageImageAvailable(language: keyof typeof languageImages): boolean {
  return inCi() || succeeds('docker', ['image', 'inspect', languageImages[language]]);
}

/** What builds without containers need of this machine. For `skip(!languageAvailable(…))`; in CI it is never false. */
export function languageAvailable(language: keyof typeof languageImages): boolean {
  const python = () => succeeds('python3', ['-c', 'import ensurepip']);
  const go = () => succeeds('go', ['version']) || succeeds('/usr/local/go/bin/go', ['version']);
  return inCi() || language === 'node' || (language === 'python' ? python() : go());
}

/** For `describe.skipIf(!dockerAvailable())`. In CI it is never false: a suite that cannot run there has to fail. */
export function dockerAvailable(): boolean {
  return inCi() || dockerMissing() === undefined;
}

/** versitygw, a real S3 server; `node scripts/get-s3-server.mjs` builds it. */
export const s3ServerBinary = join(import.meta.dirname, '../../../.tools/versitygw');

/** For `describe.skipIf(!s3ServerAvailable())`; in CI it is never false. */
export function s3ServerAvailable(): boolean {
  return inCi() || succeeds(s3ServerBinary, ['--version']);
}

/** For `skip(!crunAvailable(), …)`; in CI it is never false. */
export function crunAvailable(): boolean {
  return inCi() || succeeds('crun', ['--version']);
}

/** Debian's `docker-registry`, a real container registry. */
export const registryBinary = 'docker-registry';

/** For `describe.skipIf(!registryAvailable())`; in CI it is never false. */
export function registryAvailable(): boolean {
  return inCi() || succeeds(registryBinary, ['--version']);
}

export function inCi(): boolean {
  return process.env.CI === 'true';
}

export function succeeds(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore', timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}
