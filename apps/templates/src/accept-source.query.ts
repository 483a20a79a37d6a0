import { Controller } from '@nestjs/common';

import { AcceptSource, CestxError, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery, Objects } from '#messaging';

import { readArchive } from './archive/read-archive.ts';
import { Lane } from './lane.ts';
import { uploadName } from './object-names.ts';
import { answerOf, SourceKeeper, type KeptSource } from './source-keeper.ts';
import { SourceStore } from './source.store.ts';

type Answer = ResponseOf<typeof AcceptSource>;

/** Asked twice about one upload it answers the same, also when the first time it was killed in the middle. */
@Controller()
export class AcceptSourceQuery {
  // A source is in memory while it is checked; one at a time bounds what that takes.
  readonly #lane = new Lane(1);

  constructor(
    private readonly sources: SourceStore,
    private readonly objects: Objects,
    private readonly keeper: SourceKeeper,
  ) {}

  @AnswerQuery(AcceptSource)
  async answer({ uploadId }: RequestOf<typeof AcceptSource>): Promise<Answer> {
    return await this.#lane.run(new AbortController().signal, async () =>
      answerOf(await this.#accept(uploadId)),
    );
  }

  async #accept(uploadId: string): Promise<KeptSource> {
    const known = await this.sources.findByUpload(uploadId);
    if (known) {
      await this.objects.remove(uploadName(uploadId));
      return known;
    }
    const upload = await this.objects.get(uploadName(uploadId));
    if (!upload)
      throw new CestxError('not-found', 'The uploaded source is not there any more; send it again.');
    const source = await this.keeper.keep(await readArchive(upload));
    await this.sources.addUpload(uploadId, source.digest);
    await this.objects.remove(uploadName(uploadId));
    return source;
  }
}
