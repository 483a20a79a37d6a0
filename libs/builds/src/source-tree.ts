/** One checked file of a source. `path` is relative, uses `/`, and names nothing outside the source. */
export interface SourceFile {
  readonly path: string;
  readonly executable: boolean;
  readonly content: Buffer;
}

/** What an archive holds once it was checked: only files and folders, every name harmless. */
export interface SourceTree {
  readonly folders: readonly string[];
  readonly files: readonly SourceFile[];
}

export function findFile(tree: SourceTree, path: string): SourceFile | undefined {
  return tree.files.find((file) => file.path === path);
}

export function textOf(tree: SourceTree, path: string): string | undefined {
  return findFile(tree, path)?.content.toString('utf8');
}

/** Leaves out a folder and everything in it. */
export function withoutFolder(tree: SourceTree, folder: string): SourceTree {
  const within = (path: string) => path === folder || path.startsWith(`${folder}/`);
  return {
    folders: tree.folders.filter((path) => !within(path)),
    files: tree.files.filter((file) => !within(file.path)),
  };
}

/** A source of the given texts; what is not text is written as JSON. */
export function sourceOf(texts: Readonly<Record<string, string | object>>): SourceTree {
  const files = Object.entries(texts).map(([path, text]) => ({
    path,
    executable: false,
    content: Buffer.from(typeof text === 'string' ? text : JSON.stringify(text)),
  }));
  return { folders: [], files };
}
