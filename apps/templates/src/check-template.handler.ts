import { Controller } from '@nestjs/common';

import {
  argumentsFor,
  CestxError,
  CheckTemplate,
  GetDriver,
  parseManifest,
  substitute,
  type PayloadOf,
} from '#contracts';
import { inSpan } from '#storage';
import { HandleCommand, Messenger, type MessageContext, type Outcome } from '#messaging';

import { BuildQueue } from './build-queue.ts';
import { Builders } from './builders/builders.ts';
import { manifestOf, readTemplate, templateDockerfile, withRecipe } from './read-template.ts';
import { SourceReader } from './source-reader.ts';
import type { TemplateRow } from './template.entity.ts';
import { TemplateStore } from './template.store.ts';

const keptLines = 200;
const lastLineCount = 20;
/** Checks that may wait for their turn, beside builds. */
const mostWaiting = 100;

/**
 * 1. A version is used only after its sample was built; what was built is removed again.
 * 2. A check that was killed half-way starts clean: what it left is removed first.
 */
@Controller()
export class CheckTemplateHandler {
  constructor(
    private readonly templates: TemplateStore,
    private readonly sources: SourceReader,
    private readonly builders: Builders,
    private readonly queue: BuildQueue,
    private readonly messenger: Messenger,
  ) {}

  @HandleCommand(CheckTemplate, { concurrency: mostWaiting })
  async handle(
    { versionId }: PayloadOf<typeof CheckTemplate>,
    context: MessageContext,
  ): Promise<Outcome<typeof CheckTemplate>> {
    const done = { versionId };
    const row = await this.templates.find(versionId);
    // Deleted, or given up as lost, meanwhile.
    if (row?.state !== 'checking') return { done };
    const queued = { id: versionId, project: row.project, content: `template/${versionId}` };
    try {
      await this.queue.run(queued, context.signal, (signal) => this.#check(row, signal));
    } catch (error) {
      if (error instanceof CestxError && !error.retryable)
        await this.templates.refuse(versionId, error.toFailure());
      throw error;
    }
    return { done, write: (tx) => this.templates.accept(tx, row) };
  }

  async #check({ id, project, sourceDigest }: TemplateRow, signal: AbortSignal): Promise<void> {
    const { driver } = await this.messenger.ask(GetDriver, {});
    if (driver !== 'docker') {
      throw new CestxError(
        'bad-request',
        'A template of your own is a Dockerfile, and functions run as processes here; start a container engine and use --driver docker.',
      );
    }
    const builder = this.builders.of(driver);
    const { definition, recipe, sample } = readTemplate(await this.sources.read(sourceDigest));
    const manifest = manifestOf(sample);
    const given = manifest === undefined ? {} : parseManifest(substitute(manifest, {})).build.args;
    const lines: string[] = [];
    const source = withRecipe(sample, recipe);
    await builder.clear(id, null);
    try {
      const build = await builder.prepare({
        buildId: id,
        project,
        functionName: definition.name,
        sourceDigest,
        template: 'dockerfile',
        dockerfile: templateDockerfile,
        settings: { args: argumentsFor(definition, given) },
        source,
        log: (line) => {
          lines.push(line);
          if (lines.length > keptLines) lines.shift();
        },
        signal,
      });
      await builder.remove(await inSpan('build sample', {}, () => build.run()));
    } catch (error) {
      if (!(error instanceof CestxError) || error.retryable) throw error;
      const lastLines = error.lastLines ?? lines.slice(-lastLineCount);
      const message = `The sample could not be built: ${error.message}`;
      throw new CestxError(error.code, message, { lastLines, cause: error });
    }
  }
}
