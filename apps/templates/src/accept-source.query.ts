import { Readable } from 'node:stream';

import { Controller } from '@nestjs/common';

import { textOf } from '#builds';
import { AcceptSource, CestxError, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery, Objects } from '#messaging';

import { digestOf, packSource } from './archive/pack-source.ts';
import { readArchive } from './archive/read-archive.ts';
import { Lane } from './lane.ts';
import { sourceName, uploadName } from './object-names.ts';
import type { SourceRow } from './source.entity.ts';
import { SourceStore } from './source.store.ts';

type Answer = ResponseOf<typeof AcceptSource>;
type Accepted = Omit<SourceRow, 'acceptedAt'>;

/** Asked twice about one upload it answers the same, also when the first time it was killed in the middle. */
@Controller()
export class AcceptSourceQuery {
  // A source is in memory while it is checked; one at a time bounds what that takes.
  readonly #lane = new Lane(1);

  constructor(
    private readonly sources: SourceStore,
    private readonly objects: Objects,
  ) {}

  @AnswerQuery(AcceptSource)
  async answer({ uploadId }: RequestOf<typeof AcceptSource>): Promise<Answer> {
    return await this.#lane.run(new AbortController().signal, async () =>
      answerOf(await this.#accept(uploadId)),
    );
  }

  async #accept(uploadId: string): Promise<Accepted> {
    const known = await this.sources.findByUpload(uploadId);
    if (known) {
      await this.objects.remove(uploadName(uploadId));
      return known;
    }
    const upload = await this.objects.get(uploadName(uploadId));
    if (!upload)
      throw new CestxError('not-found', 'The uploaded source is not there any more; send it again.');
    const tree = await readArchive(upload);
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
    await this.sources.addUpload(uploadId, source.digest);
    await this.objects.remove(uploadName(uploadId));
    return source;
  }
}

function answerOf({ digest, files, bytes, manifest }: Accepted): Answer {
  return { digest, files, bytes, ...(manifest === null ? {} : { manifest }) };
}
