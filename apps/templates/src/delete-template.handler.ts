import { Controller } from '@nestjs/common';

import { DeleteTemplate, type PayloadOf } from '#contracts';
import { HandleCommand, type Outcome } from '#messaging';

import { TemplateStore } from './template.store.ts';

@Controller()
export class DeleteTemplateHandler {
  constructor(private readonly templates: TemplateStore) {}

  @HandleCommand(DeleteTemplate)
  handle({ project, name }: PayloadOf<typeof DeleteTemplate>): Promise<Outcome<typeof DeleteTemplate>> {
    return Promise.resolve({
      done: { project, name },
      write: (tx) => this.templates.delete(tx, project, name),
    });
  }
}
