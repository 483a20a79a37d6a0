import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { packSource, paint, renderFacts, renderFailure, renderTable, type Template } from '#client';
import { errorCodes, parseTemplate, type ErrorCode } from '#contracts';

import { UsageError } from './explain-error.ts';
import type { Session } from './session.ts';

const pollMs = 500;

export async function listTemplates(session: Session): Promise<number> {
  const { items } = await session.client.listTemplates();
  if (session.json) session.printJson({ items });
  else {
    const columns = [
      { title: 'name', value: (item: Template) => item.name },
      { title: 'version', value: (item: Template) => versionOf(item) },
      { title: 'used by', value: (item: Template) => item.usedBy.join(', ') || '-' },
      { title: 'told by', value: (item: Template) => item.detect.join(', ') || '-' },
      { title: 'description', value: (item: Template) => item.description },
    ];
    session.print(renderTable(columns, items, session.style));
  }
  return 0;
}

export async function showTemplate(session: Session, name: string): Promise<number> {
  const template = await session.client.getTemplate(name);
  if (session.json) session.printJson(template);
  else tell(session, template);
  return 0;
}

/** Hands in the folder of a template and waits until it was checked. */
export async function saveTemplate(session: Session, folder: string, update: boolean): Promise<number> {
  const { client, surroundings } = session;
  const source = resolve(surroundings.folder, folder);
  const text = await readFile(resolve(source, 'template.yaml'), 'utf8').catch(() => null);
  if (text === null) {
    throw new UsageError(
      `There is no template.yaml in ${folder}. A template is a folder with template.yaml (\`name: …\`), Dockerfile and sample/.`,
    );
  }
  const { name } = parseTemplate(text);
  const { archive } = await packSource(source);
  let template = await (update
    ? client.updateTemplate(name, { source: archive })
    : client.createTemplate({ source: archive }));
  const version = template.check?.version;
  if (!session.json) session.print(`Checking version ${version} of ${name} by a build of its sample`);
  while (template.check?.version === version && template.check?.state === 'checking') {
    if (surroundings.signal.aborted) {
      session.tell(`The check goes on by itself; \`cestx templates show ${name}\` shows how it ended.`);
      break;
    }
    await sleep(pollMs, null, { signal: surroundings.signal }).catch(() => undefined);
    template = await client.getTemplate(name);
  }
  const refused = template.check?.state === 'refused';
  if (session.json) session.printJson(template);
  else if (refused) tellRefusal(session, template);
  else if (template.check?.state === 'ready')
    session.print(`${paint('Ready', 'green', session.style)}: ${name} version ${template.version}`);
  return refused || template.check?.state === 'checking' ? 1 : 0;
}

export async function deleteTemplate(session: Session, name: string): Promise<number> {
  const template = await session.client.deleteTemplate(name);
  if (session.json) session.printJson(template);
  else session.print(`Deleted the template ${name}.`);
  return 0;
}

function tell(session: Session, template: Template): void {
  const { args, health, check } = template;
  const settings = Object.entries(args).map(([name, value]) => (value === null ? name : `${name}=${value}`));
  session.print(
    renderFacts(
      [
        ['name', template.name],
        ['description', template.description || null],
        ['version', versionOf(template)],
        ['check', check && `version ${check.version} ${check.state} at ${check.at}`],
        ['arguments', settings.join(', ') || null],
        ['told by', template.detect.join(', ') || null],
        ['health', health.path ?? null],
        ['used by', template.usedBy.join(', ') || null],
      ],
      session.style,
    ),
  );
  tellRefusal(session, template);
}

function tellRefusal(session: Session, { name, check }: Template): void {
  if (check?.state !== 'refused' || !check.error) return;
  const { code, message, lastLines = [] } = check.error;
  const error = { step: `check ${name} version ${check.version}`, code, message, lastLines };
  session.tell(renderFailure(error, errorCodes[code satisfies ErrorCode].help, session.style));
}

function versionOf({ builtIn, version }: Template): string {
  return builtIn ? 'built in' : version === null ? '-' : String(version);
}
