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
    [
      ["  specifiers in the lockfile don't match specifiers in package.json:"],
      'pnpm-lock.yaml does not match package.json; run pnpm install and deploy again',
    ],
    [
      ['error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.'],
      'yarn.lock does not match package.json; run yarn install and deploy again',
    ],
    [
      [' ERR_PNPM_FETCH_404  GET https://registry.example/no-such: Not Found - 404'],
      'the package no-such does not exist',
    ],
    [['ERROR: No matching distribution found for flask==99'], 'there is no flask==99 for this Python'],
    [
      [
        "error: … which is incompatible with the project's Python requirement: `>=3.99` (from `project.requires-python`)",
      ],
      'the project asks for another Python than there is here (>=3.99); change its requires-python, or build with another Python (CESTX_IMAGE_PYTHON)',
    ],
    [
      ['error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.'],
      'uv.lock does not match pyproject.toml; run uv lock and deploy again',
    ],
    [
      [
        'main.go:2:8: missing go.sum entry for module providing package github.com/google/uuid (imported by a); to add:',
      ],
      'go.sum does not match go.mod; run go mod tidy and deploy again',
    ],
    [
      ['go: download go1.99.0: golang.org/toolchain@v0.0.1-go1.99.0.linux-amd64: reading …: 403 Forbidden'],
      'it asks for go1.99.0, which cannot be had here; lower the "go" line of go.mod, or build with a newer Go (CESTX_IMAGE_GO)',
    ],
    [
      ['go: go.mod requires go >= 1.99.0 (running go 1.26.8; GOTOOLCHAIN=local)'],
      'it asks for go >= 1.99.0, which cannot be had here; lower the "go" line of go.mod, or build with a newer Go (CESTX_IMAGE_GO)',
    ],
    [
      [
        'npm error code E404',
        "npm error 404  The requested resource 'no-such@9.9.9' could not be found or you do not have permission to access it.",
      ],
      'the package no-such@9.9.9 does not exist',
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
    const retry =
      "WARNING: Retrying (Retry(total=1)) after connection broken by 'ReadTimeoutError(Read timed out.)'";
    expect(isRegistryTrouble([retry])).toBe(true);
    expect(isRegistryTrouble(['go: a@v1: Get "https://proxy.golang.org/a/@v/v1.mod": i/o timeout'])).toBe(
      true,
    );
    expect(isRegistryTrouble(['requests.exceptions.ReadTimeout: Read timed out.'])).toBe(false);
  });
});
