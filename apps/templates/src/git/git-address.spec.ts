import { describe, expect, it, test } from 'vitest';

import { isPublicAddress, readGitAddress } from './git-address.ts';

const hosts = { open: ['github.com', 'git.example.com:8443'], private: ['git.lan', '127.0.0.1:4000'] };
const read = (request: Partial<Parameters<typeof readGitAddress>[0]>) =>
  readGitAddress({ url: 'https://github.com/a/b.git', ...request }, hosts);

describe('what is to be fetched', () => {
  it('is an https address of an allowed host, a ref and a folder', () => {
    expect(read({ ref: 'release/1.x', folder: './apps/web/' })).toEqual({
      url: 'https://github.com/a/b.git',
      host: 'github.com',
      port: 443,
      protocol: 'https',
      mayBePrivate: false,
      ref: 'release/1.x',
      folder: 'apps/web',
    });
    expect(read({ url: 'https://git.example.com:8443/a/b' })).toMatchObject({
      port: 8443,
      ref: 'HEAD',
      folder: '',
    });
    expect(read({ url: 'http://git.lan/a' })).toMatchObject({
      protocol: 'http',
      mayBePrivate: true,
      port: 80,
    });
  });

  it.each([
    'file:///etc',
    '/etc',
    'ssh://git@github.com/a/b',
    'git@github.com:a/b',
    'git://github.com/a/b',
    'ext::sh -c touch% /tmp/x',
    'http://github.com/a/b',
    'https://user:secret@github.com/a/b',
    'https://token@github.com/a/b',
    'https://github.com:444/a/b',
    'https://github.com.evil.org/a/b',
    'https://evil.org/a/b?github.com',
    'https://github.com@evil.org/a/b',
    'https://github.com/',
    'https://github.com/a/b#x',
    'https://github.com/a b/$(x)',
    'https://169.254.169.254/latest',
    'https://2130706433/a',
    '--upload-pack=touch /tmp/x',
    '',
  ])('is nothing else: %j', (url) => {
    expect(() => read({ url })).toThrow(/^git: /);
  });

  it.each([
    '--upload-pack=x',
    '-x',
    '+main',
    'a:b',
    'a..b',
    'main^',
    'main~1',
    'a b',
    '',
    'x.lock',
    '/x',
    '@{0}',
    'a\n',
  ])('has no ref %j', (ref) => {
    expect(() => read({ ref })).toThrow(/^ref: /);
  });

  it.each(['..', 'a/../..', 'a/./b', 'a//b', 'a\\b', ':(top)', 'a\0', 'a\n'])(
    'has no folder %j',
    (folder) => {
      expect(() => read({ folder })).toThrow(/^folder: /);
    },
  );
});

test.each([
  ['140.82.121.3', true],
  ['2606:50c0:8000::153', true],
  ['10.1.2.3', false],
  ['127.0.0.1', false],
  ['169.254.169.254', false],
  ['172.31.0.1', false],
  ['192.168.1.1', false],
  ['100.64.0.1', false],
  ['0.0.0.0', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['::1', false],
  ['::', false],
  ['::ffff:127.0.0.1', false],
  ['::ffff:8.8.8.8', false],
  ['64:ff9b::7f00:1', false],
  ['2002:7f00:1::', false],
  ['fe80::1', false],
  ['fd00::1', false],
])('%s is public: %s', (address, expected) => {
  expect(isPublicAddress(address)).toBe(expected);
});
