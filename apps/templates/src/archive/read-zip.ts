import { type Entry, fromBufferPromise, getFileNameLowLevel, type ZipFile } from 'yauzl';

import type { SourceFile, SourceTree } from '#builds';
import { CestxError } from '#contracts';

import { type ArchiveLimits, EntryChecker, refuse, tooLarge } from './entry-checker.ts';

const fileTypeMask = 0o170000;
const regularFile = 0o100000;
const folder = 0o040000;
const link = 0o120000;

/** Reads a zip by its central directory. Every entry is checked before the first is unpacked. */
export async function readZip(data: Buffer, limits: ArchiveLimits): Promise<SourceTree> {
  try {
    // Names are decoded below, where a bad one can be refused by name; sizes are checked while unpacking.
    const zip = await fromBufferPromise(data, { decodeStrings: false, validateEntrySizes: true });
    return await readEntries(zip, limits);
  } catch (error) {
    if (error instanceof CestxError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CestxError('invalid-archive', `The archive cannot be read: ${why}.`, { cause: error });
  }
}

async function readEntries(zip: ZipFile, limits: ArchiveLimits): Promise<SourceTree> {
  if (zip.entryCount > limits.entries) throw tooLarge(`has more than ${limits.entries} entries`);
  const checker = new EntryChecker(limits);
  const folders: string[] = [];
  const wanted: { path: string; name: string; executable: boolean; entry: Entry }[] = [];
  for await (const entry of zip.eachEntry()) {
    const name = nameOf(entry);
    const mode = (entry.externalFileAttributes >>> 16) & 0xffff;
    const kind = kindOf(name, mode);
    if (kind === 'folder' && entry.uncompressedSize > 0) throw refuse(name, 'is a folder with content');
    const path = checker.check({ name, kind, size: entry.uncompressedSize, mode });
    if (path === null) continue;
    if (kind === 'folder') folders.push(path);
    else wanted.push({ path, name, executable: (mode & 0o111) !== 0, entry });
  }
  const files: SourceFile[] = [];
  for (const { path, name, executable, entry } of wanted) {
    files.push({ path, executable, content: await readContent(zip, entry, name) });
  }
  return { folders, files };
}

async function readContent(zip: ZipFile, entry: Entry, name: string): Promise<Buffer> {
  if (entry.isEncrypted()) throw refuse(name, 'is encrypted');
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } catch (error) {
    throw refuse(name, `cannot be unpacked (${error instanceof Error ? error.message : String(error)})`);
  }
}

function nameOf(entry: Entry): string {
  // Some tools on Windows write backslashes for folders; this reads them as `/`.
  return getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, false);
}

/** Archives made on Unix carry the type of the file; others leave it 0. */
function kindOf(name: string, mode: number): 'file' | 'folder' {
  const type = mode & fileTypeMask;
  const named = name.endsWith('/') ? 'folder' : 'file';
  if (type === link) throw refuse(name, 'is a link');
  if (type !== 0 && type !== regularFile && type !== folder) {
    throw refuse(name, 'is neither a file nor a folder');
  }
  if (type !== 0 && (type === folder) !== (named === 'folder')) {
    throw refuse(name, 'is a file by its name and a folder by its mode, or the reverse');
  }
  return named;
}
