import { Controller } from '@nestjs/common';

import {
  builtInTemplates,
  CestxError,
  GetTemplate,
  ListTemplates,
  type RequestOf,
  type ResponseOf,
  type Template,
} from '#contracts';
import { AnswerQuery } from '#messaging';

import { describeBuiltIns, describeTemplate } from './describe-template.ts';
import { TemplateStore } from './template.store.ts';

/** Answers what others ask about templates. */
@Controller()
export class TemplatesQuery {
  constructor(private readonly templates: TemplateStore) {}

  @AnswerQuery(GetTemplate)
  async template({ project, name }: RequestOf<typeof GetTemplate>): Promise<Template> {
    const users = await this.templates.users(project, [name]);
    const builtIn = describeBuiltIns(project, users).find((known) => known.name === name);
    if (builtIn) return builtIn;
    const versions = await this.templates.versions(project, name);
    if (versions.length === 0) throw new CestxError('not-found', `There is no template "${name}".`);
    return describeTemplate(versions, users);
  }

  @AnswerQuery(ListTemplates)
  async list({ project }: RequestOf<typeof ListTemplates>): Promise<ResponseOf<typeof ListTemplates>> {
    const own = Map.groupBy(await this.templates.all(project), ({ name }) => name);
    const users = await this.templates.users(project, [...builtInTemplates, ...own.keys()]);
    const described = [...own.values()].map((versions) => describeTemplate(versions, users));
    return { items: [...described, ...describeBuiltIns(project, users)] };
  }
}
