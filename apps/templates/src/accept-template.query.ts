import { Controller } from '@nestjs/common';

import { AcceptTemplate, CestxError, type RequestOf, type Template } from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeTemplate } from './describe-template.ts';
import { readTemplate } from './read-template.ts';
import { SourceReader } from './source-reader.ts';
import { TemplateStore } from './template.store.ts';

/** What can be seen at once is refused at once; the rest is the check's affair, which is ordered with the row. */
@Controller()
export class AcceptTemplateQuery {
  constructor(
    private readonly templates: TemplateStore,
    private readonly sources: SourceReader,
  ) {}

  @AnswerQuery(AcceptTemplate)
  async answer(request: RequestOf<typeof AcceptTemplate>): Promise<Template> {
    const { versionId: id, project, sourceDigest, update } = request;
    const { definition } = readTemplate(await this.sources.read(sourceDigest));
    if (update !== null && update !== definition.name) {
      throw new CestxError(
        'invalid-template',
        `template.yaml names "${definition.name}", not "${update}"; a template keeps its name.`,
      );
    }
    await this.templates.add({ id, project, sourceDigest, definition }, update !== null);
    const versions = await this.templates.versions(project, definition.name);
    const users = await this.templates.users(project, [definition.name]);
    return describeTemplate(versions, users);
  }
}
