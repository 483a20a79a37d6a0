import { BlockList, isIP } from 'node:net';

import { CestxError } from '#contracts';

export interface GitRequest {
  readonly url: string;
  /** A branch, a tag or a whole commit hash; the repository's own default when left out. */
  readonly ref?: string | undefined;
  /** The part of the repository that is the source; all of it when left out. */
  readonly folder?: string | undefined;
}

/** Hosts as in a URL, `git.example.com` or `git.example.com:8443`. */
export interface GitHosts {
  /** Over https, at public addresses. */
  readonly open: readonly string[];
  /** Also at private addresses, and over http. */
  readonly private: readonly string[];
}

export interface GitAddress {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly protocol: 'https' | 'http';
  /** Whether a private address is fine. */
  readonly mayBePrivate: boolean;
  readonly ref: string;
  /** Empty for the whole repository. */
  readonly folder: string;
}

/**
 * Reads what somebody wants to have fetched. Nothing of it can be taken for an option of git, another transport, a file of
 * this host or a path that leads out. Throws `bad-request` with what is wrong.
 */
export function readGitAddress(
  { url: text, ref = 'HEAD', folder = '' }: GitRequest,
  hosts: GitHosts,
): GitAddress {
  const url = parse(text);
  const mayBePrivate = hosts.private.includes(url.host);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && mayBePrivate))
    throw refuse('git', 'it must be an https:// address of a repository');
  if (url.username !== '' || url.password !== '')
    throw refuse('git', 'it must not hold a user or a password; only what anybody may read is fetched');
  if (url.search !== '' || url.hash !== '')
    throw refuse('git', 'it must end with the path of the repository');
  if (!mayBePrivate && !hosts.open.includes(url.host)) {
    const known = [...hosts.open, ...hosts.private].join(', ') || 'none';
    throw refuse(
      'git',
      `the host ${url.host} is not one that sources may come from (${known}); CESTX_GIT_HOSTS says which`,
    );
  }
  if (url.pathname.length < 2 || !/^\/[\w.~%/+@-]+$/.test(url.pathname))
    throw refuse('git', 'it names no repository');
  if (!/^[A-Za-z0-9][\w./+-]{0,199}$/.test(ref) || /\.\.|\/\/|\.lock$|[./]$/.test(ref))
    throw refuse('ref', 'it must be the name of a branch or a tag, or the whole hash of a commit');
  const trimmed = folder.replace(/^(\.?\/)+|\/+$/g, '').replace(/^\.$/, '');
  if (trimmed !== '' && (!/^[\w. @+~/-]{1,400}$/.test(trimmed) || /(^|\/)(\.{1,2}|)(\/|$)/.test(trimmed)))
    throw refuse('folder', 'it must be the path of a folder in the repository');
  const protocol = url.protocol === 'https:' ? 'https' : 'http';
  return {
    url: url.href,
    host: url.hostname,
    port: Number(url.port || (protocol === 'https' ? 443 : 80)),
    protocol,
    mayBePrivate,
    ref,
    folder: trimmed,
  };
}

function parse(text: string): URL {
  if (text.length <= 1000 && URL.canParse(text)) return new URL(text);
  throw refuse('git', 'it must be an https:// address of a repository');
}

function refuse(part: string, why: string): CestxError {
  return new CestxError('bad-request', `${part}: ${why}.`);
}

// The special-purpose registries of IANA: what is not reachable from everywhere.
const notPublic = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  notPublic.addSubnet(net, prefix, 'ipv4');

const publicV6 = new BlockList();
publicV6.addSubnet('2000::', 3, 'ipv6');
// Within it, but with another address inside, or of no network at all.
for (const [net, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  notPublic.addSubnet(net, prefix, 'ipv6');

export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !notPublic.check(address, 'ipv4');
  return publicV6.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
}
