import { expect, test } from 'vitest';

import { credentialsFor, parseImageName, registryFrom } from './images.ts';

const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['redis', { registry: null, repository: 'redis', tag: null, digest: null }],
  ['redis:7-alpine', { registry: null, repository: 'redis', tag: '7-alpine', digest: null }],
  ['library/redis', { registry: null, repository: 'library/redis', tag: null, digest: null }],
  ['ghcr.io/a/b:1', { registry: 'ghcr.io', repository: 'a/b', tag: '1', digest: null }],
  ['127.0.0.1:5000/a', { registry: '127.0.0.1:5000', repository: 'a', tag: null, digest: null }],
  ['localhost/a/b', { registry: 'localhost', repository: 'a/b', tag: null, digest: null }],
  ['registry:5000/a:2', { registry: 'registry:5000', repository: 'a', tag: '2', digest: null }],
  [`a.b/c:1@${digest}`, { registry: 'a.b', repository: 'c', tag: '1', digest }],
])('the name of an image is taken apart: %s', (text, parts) => {
  expect(parseImageName(text)).toEqual(parts);
});

test.each([
  '',
  ' ',
  'UPPER',
  'a b',
  '../x',
  '--all',
  digest,
  'a'.repeat(64),
  'sha256:abc',
  'a@sha256:12',
  'https://a.b/c',
  'a.b/c:1:2',
  'user:pw@a.b/c',
])('what is not the name of an image is refused: %j', (text) => {
  expect(() => parseImageName(text)).toThrow(/is not the name of an image/);
});

test('a password goes to its own registry alone', () => {
  const registry = registryFrom({
    CESTX_REGISTRY: 'registry.example.com/team/',
    CESTX_REGISTRY_USER: 'ci',
    CESTX_REGISTRY_PASSWORD: 'secret',
  });
  expect(registry?.address).toBe('registry.example.com/team');
  expect(credentialsFor('registry.example.com/other/x:1', registry)).toMatchObject({ password: 'secret' });
  expect(credentialsFor('registry.example.com.evil.org/x', registry)).toBeUndefined();
  expect(credentialsFor('registry.example.com', registry)).toBeUndefined();
});
