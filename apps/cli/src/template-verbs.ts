import type { Command } from 'commander';

import type { Run } from './machine-verbs.ts';
import type { CommonOptions } from './session.ts';
import { deleteTemplate, listTemplates, saveTemplate, showTemplate } from './templates.command.ts';

/** The verbs behind `cestx templates`. */
export function describeTemplateVerbs(group: Command, common: (command: Command) => Command, run: Run): void {
  const add = (usage: string, description: string): Command =>
    common(group.command(usage)).description(description);

  add('list', 'show all templates, your own and those that are always there').action(
    (_options: CommonOptions, command: Command) => run(command, listTemplates),
  );
  add('show <name>', 'show one template: its version, its arguments, who uses it').action(
    (name: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => showTemplate(session, name)),
  );
  add('create <folder>', 'make a template of a folder with template.yaml, Dockerfile and sample/').action(
    (folder: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => saveTemplate(session, folder, false)),
  );
  add('update <folder>', 'make its next version; what was built stays as it is').action(
    (folder: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => saveTemplate(session, folder, true)),
  );
  add('delete <name>', 'delete a template that no function uses').action(
    (name: string, _options: CommonOptions, command: Command) =>
      run(command, (session) => deleteTemplate(session, name)),
  );
}
