import type { Component } from './builder.ts';

/** One file of an artefact, with a path of its own. */
export interface ArtifactFile {
  readonly path: string;
  readonly executable: boolean;
  readonly size: number;
}

const mostBytes = 1024 ** 2;
/** The largest package database, and the largest program whose modules are read. */
const mostOfDatabase = 32 * 1024 ** 2;
const mostOfProgram = 128 * 1024 ** 2;
const goMagic = Buffer.from([0xff, ...Buffer.from(' Go buildinf:')]);

type Reader = (content: Buffer) => Component[];

/** How the components that a file tells of are read from it; undefined for the many files that tell of none. */
export function readerOf({ path, executable, size }: ArtifactFile): Reader | undefined {
  if (/(^|\/)node_modules\/(@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path))
    return within(size, mostBytes, npmPackage);
  if (path.endsWith('.dist-info/METADATA')) return within(size, mostBytes, pythonPackage);
  if (/(^|\/)var\/lib\/dpkg\/status$/.test(path)) return within(size, mostOfDatabase, debianPackages);
  if (/(^|\/)lib\/apk\/db\/installed$/.test(path)) return within(size, mostOfDatabase, alpinePackages);
  if (executable) return within(size, mostOfProgram, goModules);
  return undefined;
}

/** Each once, in order. */
export function sortComponents(components: readonly Component[]): Component[] {
  const byUrl = new Map(components.map((component) => [component.purl, component]));
  return [...byUrl.values()].sort((a, b) => (a.purl < b.purl ? -1 : 1));
}

function within(size: number, most: number, reader: Reader): Reader | undefined {
  return size <= most ? reader : undefined;
}

function npmPackage(content: Buffer): Component[] {
  let manifest: { name?: unknown; version?: unknown; license?: unknown };
  try {
    manifest = JSON.parse(content.toString('utf8')) as typeof manifest;
  } catch {
    return [];
  }
  const { name, version, license } = manifest ?? {};
  if (typeof name !== 'string' || typeof version !== 'string') return [];
  const purl = `pkg:npm/${name.split('/').map(encodeURIComponent).join('/')}@${encodeURIComponent(version)}`;
  return [{ name, version, purl, licence: typeof license === 'string' ? license : undefined }];
}

function pythonPackage(content: Buffer): Component[] {
  const [head = ''] = content.toString('utf8').split(/\r?\n\r?\n/, 1);
  const { Name: name, Version: version, License: licence, 'License-Expression': expression } = fields(head);
  if (!name || !version) return [];
  const normal = name.toLowerCase().replace(/[-_.]+/g, '-');
  const purl = `pkg:pypi/${encodeURIComponent(normal)}@${encodeURIComponent(version)}`;
  // Older packages put the whole text of the licence there.
  const short = expression ?? (licence && licence.length <= 100 ? licence : undefined);
  return [{ name, version, purl, licence: short }];
}

function debianPackages(content: Buffer): Component[] {
  return stanzas(content).flatMap((stanza) => {
    const { Package: name, Version: version, Architecture: arch, Status: status } = fields(stanza);
    if (!name || !version || !status?.endsWith(' installed')) return [];
    const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${arch ?? 'all'}`;
    return [{ name, version, purl }];
  });
}

function alpinePackages(content: Buffer): Component[] {
  return stanzas(content).flatMap((stanza) => {
    const { P: name, V: version, L: licence, A: arch } = fields(stanza);
    if (!name || !version) return [];
    const purl = `pkg:apk/alpine/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${arch ?? 'noarch'}`;
    return [{ name, version, purl, licence }];
  });
}

/** What the Go linker wrote into a program (debug/buildinfo): the version of Go, then the modules. */
function goModules(content: Buffer): Component[] {
  const at = content.indexOf(goMagic);
  // Only programs of Go 1.18 and later have the texts right behind the header.
  if (at < 0 || ((content[at + 15] ?? 0) & 2) === 0) return [];
  const go = lengthPrefixed(content, at + 32);
  const modules = lengthPrefixed(content, go.end);
  const text = modules.text.slice(16, -16);
  const found: Component[] = [];
  for (const line of text.split('\n')) {
    const [kind, name = '', version = ''] = line.split('\t');
    if (kind === '=>') found.pop();
    if (kind === 'dep' || kind === '=>') found.push(goModule(name, version));
  }
  const standard = /^go([\d.]+)/.exec(go.text)?.[1];
  return [...(standard === undefined ? [] : [goModule('stdlib', standard)]), ...found];
}

function goModule(name: string, version: string): Component {
  const path = name.split('/').map(encodeURIComponent).join('/');
  return { name, version, purl: `pkg:golang/${path}@${encodeURIComponent(version)}` };
}

function lengthPrefixed(content: Buffer, start: number): { text: string; end: number } {
  let [length, shift, at] = [0, 0, start];
  for (; shift < 28; shift += 7, at++) {
    const byte = content[at] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  const end = at + 1 + length;
  return { text: content.toString('latin1', at + 1, end), end };
}

function stanzas(content: Buffer): string[] {
  return content.toString('utf8').split(/\n\n+/);
}

function fields(stanza: string): Record<string, string | undefined> {
  return Object.fromEntries(
    [...stanza.matchAll(/^([A-Za-z-]+): ?(.*)$/gm)].map(([, name, value]) => [name, value?.trim()]),
  );
}
