import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PlainError } from './say.mjs';

/** Mirror and key of the system's own Debian source, in either of apt's two formats. */
export async function debianSource() {
  const found = [];
  const partsDir = '/etc/apt/sources.list.d';
  const parts = await readdir(partsDir).catch(() => []);
  for (const file of ['/etc/apt/sources.list', ...parts.map((name) => join(partsDir, name))]) {
    const text = await readFile(file, 'utf8').catch(() => '');
    found.push(...(file.endsWith('.sources') ? deb822Sources(text) : oneLineSources(text)));
  }
  const debian = found.find(({ uri }) => /\/debian\/?$/.test(uri));
  if (!debian) throw new PlainError('this machine has no Debian package source in /etc/apt');
  return debian;
}

function deb822Sources(text) {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name) => new RegExp(`^${name}:[ \\t]*(\\S+)`, 'im').exec(stanza)?.[1];
    const uri = field('URIs');
    if (!uri || field('Enabled') === 'no') return [];
    return [{ uri, signedBy: keyFile(field('Signed-By')) }];
  });
}

function oneLineSources(text) {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S+/.exec(line);
    if (!match) return [];
    return [{ uri: match[2], signedBy: keyFile(/signed-by=(\S+)/.exec(match[1] ?? '')?.[1]) }];
  });
}

/** A key may also stand in the file itself; then apt's own trusted keys are asked instead. */
function keyFile(signedBy) {
  return signedBy?.startsWith('/') ? signedBy : undefined;
}
