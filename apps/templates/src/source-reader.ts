import { Injectable } from '@nestjs/common';

import type { SourceTree } from '#builds';
import { CestxError } from '#contracts';
import { Objects } from '#messaging';

import { digestOf } from './archive/pack-source.ts';
import { readArchive } from './archive/read-archive.ts';
import { sourceName } from './object-names.ts';

/** Reads kept sources, each checked against the digest it is kept by. */
@Injectable()
export class SourceReader {
  constructor(private readonly objects: Objects) {}

  async read(digest: string): Promise<SourceTree> {
    const archive = await this.objects.get(sourceName(digest));
    if (!archive) throw new CestxError('not-found', 'The source is not there any more; send it again.');
    const tree = await readArchive(archive);
    if (digestOf(tree) === digest) return tree;
    throw new CestxError('internal', 'The stored source is not what its name says.');
  }
}
