import { labelSchema } from '#contracts';

/** What a request line and its Host header ask for. */
export type CallTarget =
  | { kind: 'host'; host: string; name: string; path: string }
  | { kind: 'function'; host: string; name: string; path: string }
  | { kind: 'control' }
  | { kind: 'wrong'; reason: string };

const prefix = '/function/';

/**
 * `<name>.<domain>` is a call with the path as it is, `/function/<name>[/path]` one with the path behind the name;
 * anything else is for the control plane. A request target with a host of its own wins over the Host header (RFC 9112, 3.2.2).
 */
export function readCallTarget(url: string, hostHeader: string | undefined, domain: string): CallTarget {
  let path = url;
  let host = hostHeader ?? '';
  if (path.charCodeAt(0) !== 47) {
    const absolute = /^http:\/\/([^/?#@]+)([/?].*)?$/i.exec(url);
    if (!absolute) return { kind: 'wrong', reason: 'The request target must be a path.' };
    host = absolute[1] as string;
    path = absolute[2] ?? '/';
    if (path.startsWith('?')) path = `/${path}`;
  }
  const name = hostName(host);
  if (name.length > domain.length && name.endsWith(domain) && name[name.length - domain.length - 1] === '.') {
    return { kind: 'host', host, name, path };
  }
  if (!path.startsWith(prefix)) return { kind: 'control' };
  let end = prefix.length;
  while (end < path.length && path[end] !== '/' && path[end] !== '?') end++;
  const label = path.slice(prefix.length, end);
  if (!labelSchema.safeParse(label).success) {
    return { kind: 'wrong', reason: 'The path must be /function/<name>, with the name of a function.' };
  }
  const rest = path.slice(end);
  return { kind: 'function', host, name: label, path: rest.startsWith('/') ? rest : `/${rest}` };
}

/** The host without port and final dot, in lower case. */
function hostName(host: string): string {
  const colon = host.startsWith('[') ? -1 : host.indexOf(':');
  const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
