import { createHash } from 'node:crypto';

import { Header, Pax } from 'tar';

import type { SourceFile, SourceTree } from '#builds';

const blockBytes = 512;
/** Any fixed time will do. Not 1970: some tools take 0 for "unknown". */
const packedAt = new Date('2000-01-01T00:00:00Z');

/**
 * Packs a source the one way it can be packed: every folder named, sorted by path, one owner, one time, two modes.
 * The same files always give the same bytes, whatever archive they came in.
 */
export function* packSource(tree: SourceTree, modifiedAt: Date = packedAt): Generator<Buffer> {
  const files = new Map(tree.files.map((file) => [file.path, file]));
  const paths = [...allFolders(tree), ...files.keys()].toSorted();
  for (const path of paths) yield* packEntry(path, files.get(path), modifiedAt);
  yield Buffer.alloc(2 * blockBytes);
}

export function digestOf(tree: SourceTree): string {
  const hash = createHash('sha256');
  for (const block of packSource(tree)) hash.update(block);
  return hash.digest('hex');
}

function allFolders(tree: SourceTree): Set<string> {
  const folders = new Set(tree.folders);
  for (const path of [...tree.folders, ...tree.files.map((file) => file.path)]) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      folders.add(path.slice(0, end));
    }
  }
  return folders;
}

function* packEntry(path: string, file: SourceFile | undefined, mtime: Date): Generator<Buffer> {
  const header = new Header({
    path: file ? path : `${path}/`,
    type: file ? 'File' : 'Directory',
    mode: !file || file.executable ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: file?.content.length ?? 0,
    mtime,
  });
  // A name that does not fit the plain header goes into an extended one before it.
  if (header.encode()) yield new Pax({ path: header.path }).encode();
  if (header.block) yield header.block;
  if (!file) return;
  yield file.content;
  const padding = (blockBytes - (file.content.length % blockBytes)) % blockBytes;
  if (padding > 0) yield Buffer.alloc(padding);
}
