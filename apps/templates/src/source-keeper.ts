import { Readable } from 'node:stream';

import { Injectable } from '@nestjs/common';

import { textOf, type SourceTree } from '#builds';
import { CestxError } from '#contracts';
import { Objects } from '#messaging';

import { digestOf, packSource } from './archive/pack-source.ts';
import { sourceName } from './object-names.ts';
import type { SourceRow } from './source.entity.ts';
import { SourceStore } from './source.store.ts';

export type KeptSource = Omit<SourceRow, 'acceptedAt'>;

/** Keeps checked sources by their content, each once. */
@Injectable()
export class SourceKeeper {
  constructor(
    private readonly sources: SourceStore,
    private readonly objects: Objects,
  ) {}

  async keep(tree: SourceTree): Promise<KeptSource> {
    if (tree.files.length === 0)
      throw new CestxError('invalid-archive', 'The archive was refused: it holds no files.');
    const source = {
      digest: digestOf(tree),
      files: tree.files.length,
      bytes: tree.files.reduce((sum, file) => sum + file.content.length, 0),
      manifest: textOf(tree, 'function.yaml') ?? null,
    };
    // Before the object is looked for: from then on it cannot be collected.
    await this.sources.keep(source);
    const name = sourceName(source.digest);
    if (!(await this.objects.exists(name))) {
      await this.objects.put(name, Readable.from(packSource(tree), { objectMode: false }));
    }
    return source;
  }
}

/** As it travels: a manifest that is not there is left out. */
export function answerOf({ digest, files, bytes, manifest }: KeptSource) {
  return { digest, files, bytes, ...(manifest === null ? {} : { manifest }) };
}
