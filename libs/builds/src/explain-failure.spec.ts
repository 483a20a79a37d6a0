import { describe, expect, it } from 'vitest';

import { explainFailure, isRegistryTrouble } from './explain-failure.ts';

describe('why a step failed', () => {
  it.each([
    [
      ['npm error code E404', "npm error 404  'no-such-pkg@^1.0.0' is not in this registry."],
      'the package no-such-pkg@^1.0.0 does not exist',
    ],
    [
      ['npm error code E404', "npm error 404  '@a/b@1' is not in this registry."],
      'the package @a/b@1 does not exist',
    ],
    [
      ['npm error code ETARGET', 'npm error notarget No matching version found for ms@99.'],
      'there is no version ms@99',
    ],
    [
      ['npm error code SELF_SIGNED_CERT_IN_CHAIN'],
      'the certificate of the package registry is not trusted; set CESTX_BUILD_CA_FILE to the file of your certificate authority',
    ],
    [['npm error code EINTEGRITY'], 'a package is not the one package-lock.json names (EINTEGRITY)'],
    [
      ['FATAL ERROR: JavaScript heap out of memory'],
      'it needed more memory than a build may have; raise CESTX_BUILD_MEMORY',
    ],
    [['npm error ENOSPC: no space left on device, write'], 'the disk is full'],
    [['npm error code ECONNRESET'], 'the package registry did not answer (ECONNRESET)'],
    [['something else'], 'it exited with code 1'],
  ])('%j', (lines, reason) => {
    expect(explainFailure('npm ci', lines, 'it exited with code 1')).toBe(`npm ci failed: ${reason}.`);
  });

  it('is the registry only when npm says so, not when a program of the user does', () => {
    expect(isRegistryTrouble(['npm error code ETIMEDOUT'])).toBe(true);
    expect(isRegistryTrouble(['npm error 503 Service Unavailable', 'npm error code E503'])).toBe(true);
    expect(isRegistryTrouble(['Error: connect ECONNREFUSED 127.0.0.1:5432'])).toBe(false);
    expect(isRegistryTrouble(['npm error code E404'])).toBe(false);
  });
});
