import { Injectable } from '@nestjs/common';

import { chooseTemplate, type SourceTree, type TemplateName } from '#builds';
import { argumentsFor, CestxError, type BuildSettings } from '#contracts';

import { chooseOwnTemplate } from './choose-own-template.ts';
import { readTemplate, templateDockerfile, withRecipe } from './read-template.ts';
import { SourceReader } from './source-reader.ts';
import type { TemplateRow } from './template.entity.ts';
import { TemplateStore } from './template.store.ts';

/** With what a source is built. */
export interface ResolvedTemplate {
  /** What the user calls it; `base` is what a builder knows of it. */
  readonly name: string;
  readonly reason: string;
  readonly base: TemplateName;
  readonly source: SourceTree;
  readonly settings: BuildSettings;
  readonly dockerfile?: string;
}

/** Finds the template of a build: the project's own first, then those that are always there. */
@Injectable()
export class TemplateResolver {
  constructor(
    private readonly templates: TemplateStore,
    private readonly sources: SourceReader,
  ) {}

  /** A template of one's own is noted as used by the build before it is read, and cannot be deleted from then on. */
  async resolve(
    { buildId, project, build }: { buildId: string; project: string; build: BuildSettings },
    source: SourceTree,
  ): Promise<ResolvedTemplate> {
    const ready = await this.templates.ready(project);
    const declared = ready.map((row) => ({ row, name: row.name, detect: row.definition.detect }));
    const chosen = chooseOwnTemplate(source, build, declared);
    if (chosen) return await this.#own(chosen.own.row, chosen.reason, { buildId, build }, source);
    const { template, reason } = chooseTemplate(source, build);
    return { name: template, reason, base: template, source, settings: build };
  }

  async #own(
    row: TemplateRow,
    reason: string,
    { buildId, build }: { buildId: string; build: BuildSettings },
    source: SourceTree,
  ): Promise<ResolvedTemplate> {
    const { name, version, definition } = row;
    if (build.image !== undefined) {
      throw new CestxError(
        'bad-request',
        `function.yaml names the template "${name}" and an image; leave one of them out.`,
      );
    }
    const args = argumentsFor(definition, build.args);
    if (!(await this.templates.use(buildId, row)))
      throw new CestxError('not-found', `The template "${name}" was deleted; name another one.`);
    const { recipe } = readTemplate(await this.sources.read(row.sourceDigest));
    return {
      name,
      reason: `${reason}; version ${version}`,
      base: 'dockerfile',
      source: withRecipe(source, recipe),
      settings: { ...build, args },
      dockerfile: templateDockerfile,
    };
  }
}
