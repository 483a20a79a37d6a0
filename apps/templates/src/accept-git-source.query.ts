import { Controller, type OnApplicationBootstrap } from '@nestjs/common';

import { AcceptGitSource, type RequestOf, type ResponseOf } from '#contracts';
import { AnswerQuery } from '#messaging';

import { GitFetcher } from './git/git-fetcher.ts';
import { Lane } from './lane.ts';
import { answerOf, SourceKeeper } from './source-keeper.ts';

@Controller()
export class AcceptGitSourceQuery implements OnApplicationBootstrap {
  // A source is in memory while it is checked; two at a time bound what that takes, and a slow host does not hold up everybody.
  readonly #lane = new Lane(2);

  constructor(
    private readonly fetcher: GitFetcher,
    private readonly keeper: SourceKeeper,
  ) {}

  /** Before anybody can ask: removes what an earlier life of the room was killed over. */
  async onApplicationBootstrap(): Promise<void> {
    await this.fetcher.clear();
  }

  @AnswerQuery(AcceptGitSource)
  async answer(request: RequestOf<typeof AcceptGitSource>): Promise<ResponseOf<typeof AcceptGitSource>> {
    return await this.#lane.run(new AbortController().signal, async () => {
      const { tree, commit } = await this.fetcher.fetch(request);
      return { ...answerOf(await this.keeper.keep(tree)), commit };
    });
  }
}
